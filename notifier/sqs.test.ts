/** Opening the queue with and without credentials of the SDK. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it, vi } from 'vitest'
import { openQueue } from './sqs.ts'

afterEach(() => vi.unstubAllEnvs())

it('NOTE18 an endpoint of its own needs neither a region nor credentials, and takes those of the SDK', async () => {
  for (const name of ['AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'])
    vi.stubEnv(name, undefined)
  for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) vi.stubEnv(name, '/nowhere')
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
  const signed: string[] = []
  const sqs = createServer((request, response) => {
    signed.push(
      /Credential=(\w+\/)\d+\/([\w-]+)/
        .exec(request.headers.authorization ?? '')
        ?.slice(1)
        .join('') ?? '',
    )
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0' }).end('{"Attributes":{}}')
  }).listen(0, '127.0.0.1')
  await once(sqs, 'listening')
  const endpoint = `http://127.0.0.1:${(sqs.address() as AddressInfo).port}`
  const options = { queueUrl: `${endpoint}/0/notification-events.fifo`, endpoint, pollers: 1 }
  const without = await openQueue(options)
  without.close()
  vi.stubEnv('AWS_REGION', 'eu-west-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'given')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'given')
  const given = await openQueue(options)
  given.close()
  sqs.close()
  expect(signed).toEqual(['none/us-east-1', 'given/eu-west-1'])
})
