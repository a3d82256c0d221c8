/** TCP (RFC 9293, 3.1), and what is in its segments where their first bytes tell. */
import type { IpPacket } from '../../codec/ip.ts'
import { parseTcp, parseTcpOptions, TCP_HEADER } from '../../codec/tcp.ts'
import { flagNames, type Dissection } from './dissection.ts'
import { dissectDnsStream } from './dns.ts'
import { dissectHttp } from './http.ts'
import { dissectTls } from './tls.ts'

const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR']

export function dissectTcp(found: Dissection, packet: IpPacket, at: number): void {
  const segment = parseTcp(packet)
  if (!segment) {
    found.layer('TCP', at, packet.payload.length, [['Checksum', 'wrong, or cut off']], 'malformed')
    return found.say('TCP with a wrong checksum')
  }
  const { sourcePort, destinationPort, flags, payload, sequence, acknowledgment, window } = segment
  const header = TCP_HEADER + segment.options.length
  const options = parseTcpOptions(segment.options)
  const names = flagNames(flags, FLAGS)
  found.ports.push(sourcePort, destinationPort)
  found.layer(
    'TCP',
    at,
    header,
    [
      ['Source port', sourcePort],
      ['Destination port', destinationPort],
      ['Sequence number', sequence],
      ['Acknowledgment number', acknowledgment],
      ['Flags', names],
      ['Window', window],
      ...(options.mss === null ? [] : ([['Largest segment', `${options.mss} bytes`]] as [string, string][])),
      ...(options.windowScale === null ? [] : ([['Window scale', options.windowScale]] as [string, number][])),
      ...(options.sackPermitted ? ([['Selective acknowledgment', 'permitted']] as [string, string][]) : []),
      ...options.sack.map(([left, right]) => ['Received out of order', `${left}–${right}`] as [string, string]),
      ...(options.timestamps ? ([['Timestamps', `${options.timestamps.value}, ${options.timestamps.echo}`]] as [string, string][]) : []),
      ['Payload', `${payload.length} bytes`],
    ],
    ...names.toLowerCase().split(', ').filter(Boolean),
  )
  found.say(`${sourcePort} → ${destinationPort} [${names}] Seq=${sequence} Ack=${acknowledgment} Win=${window} Len=${payload.length}`)
  if (payload.length === 0) return
  const start = at + header
  if (dissectHttp(found, payload, start) || dissectTls(found, payload, start)) return
  if (sourcePort === 53 || destinationPort === 53) dissectDnsStream(found, payload, start)
}
