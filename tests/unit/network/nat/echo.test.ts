import { beforeEach, describe, expect, it } from 'vitest'
import { buildIcmp, parseIcmp } from '../../../../src-main/network/codec/icmp.ts'
import { parseIp as readIp, PROTOCOL, writeIp } from '../../../../src-main/network/codec/ip.ts'
import type { IpOutput } from '../../../../src-main/network/ip-output.ts'
import { EchoOutside, judgePing, systemPing, type Ping, type PingResult } from '../../../../src-main/network/nat/icmp/echo.ts'
import { parseIp } from '../../../../src-shared/model/ip.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const GUEST = parseIp('10.0.2.15')!
const TARGET = parseIp('192.0.2.7')!

let clock: FakeClock
let sent: string[]
let asked: { address: string; bytes: number; answer: (result: PingResult) => void }[]
let echo: EchoOutside
const ping: Ping = (address, bytes) => new Promise((answer) => asked.push({ address, bytes, answer }))

function request(sequence: number, text = 'abcdef'): void {
  const message = buildIcmp(GUEST, TARGET, { type: 8, code: 0, rest: 0x1234_0000 + sequence, body: Buffer.from(text) })
  const packet = new Uint8Array(20 + message.length)
  packet.set(message, 20)
  writeIp(packet, 0, { source: GUEST, destination: TARGET, protocol: PROTOCOL.icmp }, message.length)
  echo.receive({ ...readIp(packet)!, sourceMac: 1 }, TARGET)
  packet.fill(0)
}

beforeEach(() => {
  clock = new FakeClock()
  sent = []
  asked = []
  const output: IpOutput = {
    mtu: 1500,
    send({ source, destination }, payload) {
      const { type, rest, body } = parseIcmp({ version: 4, source, destination, payload })!
      sent.push(`${source.join('.')}>${destination.join('.')} ${type} ${rest.toString(16)} ${Buffer.from(body).toString()}`)
      return true
    },
    refuse: (_packet, why) => void sent.push(`refused ${JSON.stringify(why)}`),
  }
  echo = new EchoOutside(output, clock, ping)
})

describe('echo to outside', () => {
  it('is replied to when the target did, with the machine’s own data', async () => {
    request(1)
    expect(asked).toMatchObject([{ address: '192.0.2.7', bytes: 6 }])
    expect(sent).toEqual([])
    asked[0]!.answer('reply')
    await expect.poll(() => sent).toEqual(['192.0.2.7>10.0.2.15 0 12340001 abcdef'])
    expect(echo.state).toBe('works')
  })

  it('is never made up', async () => {
    request(1)
    request(2)
    request(3)
    asked[0]!.answer('silence')
    asked[1]!.answer('unreachable')
    asked[2]!.answer('unsupported')
    await expect.poll(() => sent).toEqual(['refused "host"', 'refused "prohibited"'])
    expect(echo.state).toBe('unsupported')
    request(4)
    expect(asked).toHaveLength(3)
    expect(sent.at(-1)).toBe('refused "prohibited"')
  })

  it('is bounded, at once and in a second', async () => {
    for (let sequence = 0; sequence < 100; sequence++) request(sequence)
    expect(asked).toHaveLength(16)
    asked.forEach(({ answer }) => answer('silence'))
    await Promise.resolve()
    await Promise.resolve()
    for (let sequence = 0; sequence < 100; sequence++) request(sequence)
    expect(asked).toHaveLength(20)
    clock.advance(1000)
    request(0)
    expect(asked).toHaveLength(21)
  })

  it('tells nothing more when it is over', async () => {
    request(1)
    echo.dispose()
    asked[0]!.answer('reply')
    await new Promise((resolve) => setImmediate(resolve))
    expect(sent).toEqual([])
  })
})

describe('what ping says', () => {
  it.each<[number | string, string, string, PingResult]>([
    [0, '64 bytes from 192.0.2.7: icmp_seq=1 ttl=57 time=11.2 ms', '', 'reply'],
    [0, 'Reply from 192.0.2.7: bytes=32 time<1ms TTL=128', '', 'reply'],
    [0, '16 bytes from fd00::1, icmp_seq=0 hlim=64 time=0.3 ms', '', 'reply'],
    [0, 'Reply from 10.0.0.1: Destination host unreachable.', '', 'unreachable'],
    [1, '1 packets transmitted, 0 received, 100% packet loss', '', 'silence'],
    [1, 'From 10.0.0.1 icmp_seq=1 Destination Host Unreachable', '', 'unreachable'],
    [2, '', 'ping: connect: Network is unreachable', 'unreachable'],
    [2, '', 'ping: socket: Operation not permitted', 'unsupported'],
    ['ENOENT', '', '', 'unsupported'],
    ['ABORT_ERR', '', '', 'silence'],
  ])('%s “%s” %s is %s', (code, stdout, stderr, result) => expect(judgePing(code, stdout, stderr)).toBe(result))

  it('of this computer, if it has one', async () => {
    const signal = new AbortController().signal
    expect(['reply', 'unsupported']).toContain(await systemPing('127.0.0.1', 40, signal))
  })
})
