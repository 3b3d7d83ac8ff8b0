// A seller: puts the things of a list under the hammer, one after another, and prints their ids.
// MARTILLO_TOKEN=… node examples/seller.mjs http://127.0.0.1:8080 evening-sale     (a token of the role seller)
const [url, sale] = process.argv.slice(2)
const minuteMs = 60_000

const things = [
  { title: "A ship's clock", openingBid: 1000, reserve: 8000, tags: ['clocks'] },
  { title: 'A barometer', openingBid: 500, tags: ['instruments'] },
  { title: 'A sextant', openingBid: 2500, tags: ['instruments'], buyNow: 20000 },
]

for (const [place, thing] of things.entries()) {
  const terms = {
    ...thing,
    durationMs: (10 + 2 * place) * minuteMs,
    softClose: { windowMs: minuteMs, extensionMs: minuteMs },
  }
  const response = await fetch(`${url}/auctions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${process.env.MARTILLO_TOKEN}`,
      'content-type': 'application/json',
      // The same key again gives the first answer: the script can be run twice and sells each thing once.
      'idempotency-key': `${sale}-${place}`,
    },
    body: JSON.stringify(terms),
  })
  const answer = await response.json()
  if (!response.ok) throw new Error(`${answer.code}: ${answer.detail ?? answer.title}`)
  console.log(JSON.stringify({ id: answer.id, title: answer.title, closesAt: answer.closesAt }))
}
