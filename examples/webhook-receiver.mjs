// A webhook: checks the signature of each notification, drops repeats by their id, prints one line each.
// WEBHOOK_SECRET=… node examples/webhook-receiver.mjs 9000     (the secret is in the answer to POST /buyers)
import { createServer } from 'node:http'
import { Webhook } from 'standardwebhooks'

const webhook = new Webhook(process.env.WEBHOOK_SECRET)
const seen = new Set()

async function receive(request, response) {
  let body = ''
  for await (const chunk of request) body += chunk
  let event
  try {
    event = webhook.verify(body, request.headers)
  } catch {
    return response.writeHead(401).end()
  }
  if (!seen.has(event.id)) {
    seen.add(event.id)
    console.log(JSON.stringify({ kind: event.data.kind, auctionId: event.subject, price: event.data.price }))
  }
  response.writeHead(204).end()
}

const server = createServer((request, response) => void receive(request, response))
server.listen(Number(process.argv[2] ?? 9000), '127.0.0.1', () => {
  console.log(JSON.stringify({ listening: server.address().port }))
})
