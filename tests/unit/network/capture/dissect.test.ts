import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dissect } from '../../../../src-main/network/capture/dissect/dissect.ts'
import { ARP } from '../../../../src-main/network/codec/arp.ts'
import { ICMP, ICMPV6 } from '../../../../src-main/network/codec/icmp.ts'
import { TCP } from '../../../../src-main/network/codec/tcp.ts'
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import { MAX_PACKET_INFO } from '../../../../src-shared/model/packet.ts'
import { arpFrame, icmpFrame, ipFrame, tcpFrame, udpFrame } from '../../../support/frames.ts'

const ENDS = { from: '10.0.2.15', to: '10.0.2.1' }
const ENDS6 = { from: 'fd00::15', to: 'fd00::1' }
/** A client hello as OpenSSL 3 sends it, for the server example.org, without its later extensions. */
const CLIENT_HELLO = hexBytes(
  '16030100' +
    '4e' +
    '0100004a' +
    '0303' +
    '00'.repeat(32) +
    '00' +
    '0004' +
    '13011302' +
    '0100' +
    '001d' +
    '000000100' +
    '00e00000b6578616d706c652e6f7267' +
    '00170000' +
    '00230001ff',
)
const DNS_QUERY = hexBytes('1234' + '0100' + '0001' + '0000' + '0000' + '0000' + '076578616d706c65036f726700' + '0001' + '0001')
const DNS_ANSWER = hexBytes(
  '1234' +
    '8180' +
    '0001' +
    '0001' +
    '0000' +
    '0000' +
    '076578616d706c65036f726700' +
    '0001' +
    '0001' +
    'c00c' +
    '0001' +
    '0001' +
    '0000003c' +
    '0004' +
    '5db8d822',
)

describe('frames are told in a line', () => {
  test.each([
    ['ARP', 'Who has 10.0.2.1? Tell 10.0.2.15', arpFrame(ENDS, ARP.request)],
    ['ARP', '10.0.2.15 is at 52:54:00:00:00:01', arpFrame(ENDS, ARP.reply)],
    ['ARP', '10.0.2.15 is at 52:54:00:00:00:01 (told unasked)', arpFrame({ from: '10.0.2.15', to: '10.0.2.15' }, ARP.request)],
    ['ARP', 'Does anybody have 10.0.2.1?', arpFrame({ from: '0.0.0.0', to: '10.0.2.1' }, ARP.request)],
    [
      'ICMP',
      'Echo request, id 18, number 3, 4 bytes',
      icmpFrame(ENDS, { type: ICMP.echoRequest, rest: 0x0012_0003, body: new Uint8Array(4) }),
    ],
    ['ICMP', 'Destination unreachable: port', icmpFrame(ENDS, { type: ICMP.unreachable, code: 3 })],
    ['ICMPv6', 'Who has fd00::1?', icmpFrame(ENDS6, { type: ICMPV6.neighbourSolicitation, body: hexBytes(`fd00${'00'.repeat(13)}01`) })],
    [
      'TCP',
      '41000 → 80 [SYN] Seq=7 Ack=0 Win=65535 Len=0',
      tcpFrame(ENDS, { sourcePort: 41_000, destinationPort: 80, flags: TCP.syn, sequence: 7 }),
    ],
    ['HTTP', 'GET /index.html?a=1 HTTP/1.1', tcpData('GET /index.html?a=1 HTTP/1.1\r\nHost: example.org\r\n\r\n')],
    ['HTTP', 'HTTP/1.1 404 Not Found', tcpData('HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\n')],
    ['TLS', 'Client hello for example.org', tcpData(CLIENT_HELLO)],
    ['TLS', 'Application data', tcpData(hexBytes('1703030004aabbccdd'))],
    ['UDP', '1000 → 2000, 5 bytes', udpFrame(ENDS6, 1000, 2000, 'hello')],
    ['DNS', 'A example.org?', udpFrame(ENDS, 5000, 53, DNS_QUERY)],
    ['DNS', 'A example.org: 93.184.216.34', udpFrame(ENDS, 53, 5000, DNS_ANSWER)],
    ['NTP', '123 → 123, 48 bytes', udpFrame(ENDS, 123, 123, new Uint8Array(48))],
    ['IPv4', 'ESP, 8 bytes', ipFrame(ENDS, 50, new Uint8Array(8))],
    ['IPv4', 'A part of a UDP packet, from byte 24 on', ipFrame(ENDS, 17, new Uint8Array(8), { flags: 3 })],
  ])('%s: %s', (protocol, info, frame) => {
    expect(dissect(frame)).toMatchObject({ protocol, info })
  })

  test('with the layers that were found, and where they are', () => {
    const { layers, names, ports, addresses, macs } = dissect(tcpData('GET / HTTP/1.0\r\nHost: example.org\r\n\r\n'))
    expect(layers.map(({ name, offset, length }) => [name, offset, length])).toEqual([
      ['Ethernet', 0, 14],
      ['IPv4', 14, 20],
      ['TCP', 34, 20],
      ['HTTP', 54, 37],
    ])
    expect(layers[3]!.fields).toContainEqual({ name: 'Host', value: 'example.org' })
    expect([...names]).toEqual(expect.arrayContaining(['ip', 'tcp', 'http', 'ack', 'psh']))
    expect(ports).toEqual([41_000, 80])
    expect(addresses).toHaveLength(2)
    expect(macs).toEqual([0x5254_0000_0001, 0x5254_0000_0002])
  })

  test('damage is said', () => {
    const tcp = tcpData('abc')
    tcp[tcp.length - 1]! ^= 1
    expect(dissect(tcp)).toMatchObject({ protocol: 'TCP', info: 'TCP with a wrong checksum' })
    expect(dissect(tcp).names.has('malformed')).toBe(true)
    expect(dissect(tcp.subarray(0, 30)).info).toContain('cut off')
    expect(dissect(new Uint8Array(3)).info).toContain('3 bytes')
  })

  test('what guests say does no harm in a line', () => {
    const { info, layers } = dissect(tcpData(`GET /\u001b[2J\u202e${'x'.repeat(1000)} HTTP/1.1\r\n\r\n`))
    expect(info.length).toBeLessThanOrEqual(MAX_PACKET_INFO)
    // eslint-disable-next-line no-control-regex -- that is the question
    expect(JSON.stringify([info, layers])).not.toMatch(/[\u0000-\u001f\u202e]/)
  })
})

test('any bytes are taken apart', () => {
  const seeds = [
    tcpData(CLIENT_HELLO),
    tcpData('GET / HTTP/1.1\r\n\r\n'),
    udpFrame(ENDS, 53, 5000, DNS_ANSWER),
    udpFrame(ENDS6, 67, 68, new Uint8Array(300)),
    arpFrame(ENDS, 1),
  ]
  const edits = fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 8 })
  fc.assert(
    fc.property(fc.constantFrom(...seeds), edits, fc.nat(400), (seed, changes, cut) => {
      const frame = seed.slice(0, cut < 300 ? seed.length : cut)
      for (const [at, byte] of changes) if (frame.length > 0) frame[at % frame.length] = byte
      const { layers, info } = dissect(frame)
      expect(info.length).toBeLessThanOrEqual(MAX_PACKET_INFO)
      for (const { offset, length } of layers) expect(offset + length).toBeLessThanOrEqual(frame.length)
    }),
    { numRuns: 500 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const port of [53, 67, 547]) dissect(udpFrame(ENDS, port, port, bytes))
      dissect(tcpData(bytes))
      dissect(bytes)
    }),
    { numRuns: 500 },
  )
})

function tcpData(payload: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = typeof payload === 'string' ? utf8(payload) : payload
  return tcpFrame(ENDS, { sourcePort: 41_000, destinationPort: 80, flags: TCP.psh | TCP.ack, payload: bytes })
}

function hexBytes(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g)!, (pair) => parseInt(pair, 16))
}
