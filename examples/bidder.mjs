// A bidder: follows an auction and bids the asking bid, up to a limit in minor units, until the auction ends.
// MARTILLO_TOKEN=… node examples/bidder.mjs http://127.0.0.1:8080 AUCTION 5000
import { randomUUID } from 'node:crypto'
import WebSocket from 'ws'

const [url, auctionId, limit] = process.argv.slice(2)
const protocols = ['martillo.v1.json', `bearer.${process.env.MARTILLO_TOKEN}`]
const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws`, protocols)
const send = (frame) => socket.send(JSON.stringify({ id: randomUUID(), auctionId, ...frame }))

function bid(amount) {
  if (amount <= Number(limit)) send({ type: 'place_bid', amount, kind: 'exact', requestId: randomUUID() })
}

socket.on('open', () => send({ type: 'subscribe' }))
socket.on('message', (data) => {
  const frame = JSON.parse(data)
  console.log(JSON.stringify(frame))
  if (frame.type === 'subscribed' && frame.auction.status === 'open') bid(frame.auction.askingBid)
  if (frame.type === 'outbid' || frame.code === 'bid_too_low') bid(frame.askingBid)
  if (/^auction_(sold|passed|cancelled)$/.test(frame.type)) socket.close()
})
