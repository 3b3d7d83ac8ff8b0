/**
 * The buyers' side of notifications: one receiver for all webhooks of a drill. Invariant: a webhook counts as signed
 * only when the public Standard Webhooks library says so with the buyer's own secret; of repeats under one id the
 * first is kept and the others are counted.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { loadWebhookKey, webhookSecretOf } from '../../notifier/secret.ts'
import type { NotificationEvent } from '../../protocol/notifications.ts'
import type { Post } from './record.ts'

export class WebhookReceiver {
  readonly posts: Post[] = []
  repeats = 0
  readonly #ids = new Set<string>()
  readonly #secrets = new Map<string, Webhook>()
  readonly #keyFile: string
  readonly #server: Server
  url = ''

  private constructor(keyFile: string) {
    this.#keyFile = keyFile
    this.#server = createServer((request, response) => this.#onRequest(request, response))
  }

  static async open(keyFile: string, address = '127.0.0.1'): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver(keyFile)
    await new Promise<void>((resolve) => receiver.#server.listen(0, address, resolve))
    receiver.url = `http://${address}:${(receiver.#server.address() as AddressInfo).port}/`
    return receiver
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const parts: Buffer[] = []
    request.on('data', (part) => parts.push(part))
    request.on('end', () => {
      const body = Buffer.concat(parts).toString()
      const event = JSON.parse(body) as NotificationEvent
      const { id, data } = event
      if (this.#ids.has(id)) this.repeats += 1
      else {
        this.#ids.add(id)
        this.posts.push({
          id,
          recipient: data.recipient,
          kind: data.kind,
          auctionId: event.subject,
          seq: data.seq,
          isSigned: request.headers['webhook-id'] === id && this.#isSigned(data.recipient, body, request),
        })
      }
      response.writeHead(204).end()
    })
  }

  #isSigned(recipient: string, body: string, request: IncomingMessage): boolean {
    let webhook = this.#secrets.get(recipient)
    if (webhook === undefined) {
      webhook = new Webhook(webhookSecretOf(loadWebhookKey(this.#keyFile), recipient))
      this.#secrets.set(recipient, webhook)
    }
    try {
      webhook.verify(body, request.headers as Record<string, string>)
      return true
    } catch {
      return false
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
