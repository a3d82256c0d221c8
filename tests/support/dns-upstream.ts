/** A DNS server on loopback that answers by a script, over UDP and TCP of one port. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { buildDns, scanDns, type DnsMessage } from '../../src-main/network/services/dns/codec.ts'
import { frameMessage, splitMessages } from '../../src-main/network/services/dns/tcp-messages.ts'

export type Scripted = Partial<DnsMessage> | 'silence' | Uint8Array

export interface DnsDouble {
  port: number
  /** "udp web.lab 1" */
  asked: string[]
  close(): Promise<void>
}

/** @param script what is answered; with the question and id that came unless it says others */
export async function dnsDouble(
  script: (name: string, type: number, over: 'udp' | 'tcp') => Scripted | Promise<Scripted>,
): Promise<DnsDouble> {
  const asked: string[] = []
  const answer = async (query: Uint8Array, over: 'udp' | 'tcp'): Promise<Uint8Array | null> => {
    const { id, question } = scanDns(query)!
    asked.push(`${over} ${question!.name} ${question!.type}`)
    const scripted = await script(question!.name, question!.type, over)
    if (scripted === 'silence') return null
    return scripted instanceof Uint8Array ? scripted : buildDns({ id, flags: 0x8180, question, ...scripted })
  }
  const tcp = createServer((socket) => {
    const messages = splitMessages()
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      for (const message of messages(bytes)) void answer(message, 'tcp').then((reply) => reply && socket.write(frameMessage(reply)))
    })
  })
  tcp.listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  const { port } = tcp.address() as AddressInfo
  const udp = createSocket('udp4')
  udp.on('message', (message, from) => void answer(message, 'udp').then((reply) => reply && udp.send(reply, from.port, from.address)))
  udp.bind(port, '127.0.0.1')
  await once(udp, 'listening')
  return {
    port,
    asked,
    async close() {
      udp.close()
      tcp.close()
      await once(tcp, 'close')
    },
  }
}
