import { describe, expect, it } from 'vitest'
import { buildDhcp, DHCP, parseDhcp, type DhcpMessage } from '../../../../../src-main/network/services/dhcp/codec.ts'
import { Leases, MAX_LEASES } from '../../../../../src-main/network/services/dhcp/leases.ts'
import { OPTION, seconds, secondsOf, word } from '../../../../../src-main/network/services/dhcp/options.ts'
import { DhcpServer } from '../../../../../src-main/network/services/dhcp/server.ts'
import { dhcpSettings } from '../../../../../src-main/network/services/dhcp/settings.ts'
import type { UdpReplyOptions } from '../../../../../src-main/network/gateway/udp-service.ts'
import { utf8 } from '../../../../../src-shared/base/bytes.ts'
import { formatIp, parseIpv4, parseSubnet } from '../../../../../src-shared/model/ip.ts'
import { networkSchema } from '../../../../../src-shared/model/network.ts'
import type { Lease } from '../../../../../src-shared/threads/network-thread.ts'
import { FakeClock } from '../../../../support/fake-clock.ts'
import { seeded } from '../../../../support/seeded.ts'

const HOUR = 3_600_000
const GATEWAY = parseIpv4('10.9.0.1')!
const CARD = 0x5254_0000_0001

interface Answer {
  message: DhcpMessage
  how: UdpReplyOptions
  bytes: Uint8Array
}

function make(document: object = {}, { clock = new FakeClock(), probe = null as ((address: Uint8Array) => Promise<boolean>) | null } = {}) {
  const settingsOf = (more: object, routers: Parameters<typeof dhcpSettings>[1] = []) =>
    dhcpSettings(networkSchema.parse({ name: 'lab', ipv4: '10.9.0.0/24', ...more }), routers)!
  const settings = settingsOf(document)
  const leases = new Leases('lab', clock, settings.pool)
  const told: { kind: string; lease: Lease }[] = []
  leases.onChanged((change) => told.push(change))
  const server = new DhcpServer(settings, leases, clock, probe)
  const answers: Answer[] = []
  const send = (
    message: Partial<DhcpMessage> & { type: number },
    source = '0.0.0.0',
    sourceMac = message.chaddr ?? CARD,
  ): Answer | null => {
    const payload = buildDhcp({ op: 'request', chaddr: CARD, xid: 7, ...message })
    const before = answers.length
    server.receive(
      {
        source: parseIpv4(source)!,
        sourcePort: 68,
        destination: parseIpv4('255.255.255.255')!,
        destinationPort: 67,
        payload,
        sourceMac,
      },
      (bytes, how = {}) => answers.push({ message: parseDhcp(bytes)!, how, bytes }),
    )
    return answers.length > before ? answers.at(-1)! : null
  }
  /** As a client does it that has nothing. */
  const boot = (chaddr = CARD, options: [number, Uint8Array][] = []): string | null => {
    const offer = send({ type: DHCP.discover, chaddr, options: new Map(options) })
    if (!offer) return null
    const chosen = new Map([...options, [OPTION.serverId, GATEWAY] as const, [OPTION.requestedAddress, offer.message.yiaddr] as const])
    const ack = send({ type: DHCP.request, chaddr, options: chosen })
    expect(ack?.message.type).toBe(DHCP.ack)
    return formatIp(ack!.message.yiaddr)
  }
  return { server, leases, clock, send, boot, told, answers, settingsOf }
}

const wants = (address: string): Map<number, Uint8Array> => new Map([[OPTION.requestedAddress, parseIpv4(address)!]])

describe('DHCP: a lease’s life', () => {
  it('is offered, acknowledged, renewed, rebound and ended', () => {
    const { send, clock, leases, told } = make({ dhcp: { leaseTime: 3600 } })
    const offer = send({ type: DHCP.discover })!
    expect(offer.message).toMatchObject({ op: 'reply', type: DHCP.offer, xid: 7, chaddr: CARD, broadcast: false })
    expect(formatIp(offer.message.yiaddr)).toBe('10.9.0.2')
    // No other has it meanwhile, and nobody is told of it.
    expect(formatIp(send({ type: DHCP.discover, chaddr: 99 })!.message.yiaddr)).toBe('10.9.0.3')
    expect(told).toEqual([])
    expect(leases.list()).toEqual([])

    const selecting = new Map([...wants('10.9.0.2'), [OPTION.serverId, GATEWAY], [OPTION.hostName, utf8('web')]])
    const ack = send({ type: DHCP.request, options: selecting })!
    expect(ack.message.type).toBe(DHCP.ack)
    expect([OPTION.leaseTime, OPTION.renewal, OPTION.rebinding].map((code) => secondsOf(ack.message.options.get(code)))).toEqual([
      3600, 1800, 3150,
    ])
    const lease = {
      network: 'lab',
      mac: '52:54:00:00:00:01',
      address: '10.9.0.2',
      hostName: 'web',
      from: clock.date(),
      until: clock.date() + HOUR,
    }
    expect(told).toEqual([{ kind: 'put', lease }])
    expect(leases.list()).toEqual([lease])

    clock.advance(HOUR / 2)
    const renewed = send({ type: DHCP.request, ciaddr: parseIpv4('10.9.0.2')! }, '10.9.0.2')!
    expect(renewed.message).toMatchObject({ type: DHCP.ack, ciaddr: Uint8Array.of(10, 9, 0, 2), yiaddr: Uint8Array.of(10, 9, 0, 2) })
    expect(renewed.how).toMatchObject({ destination: Uint8Array.of(10, 9, 0, 2), toMac: CARD, destinationPort: 68 })
    // Its name stays where it does not say it again.
    expect(leases.list()).toEqual([{ ...lease, until: clock.date() + HOUR }])

    clock.advance(HOUR * 0.9)
    expect(send({ type: DHCP.request, ciaddr: parseIpv4('10.9.0.2')! })!.message.type).toBe(DHCP.ack)
    const release = { type: DHCP.release, ciaddr: parseIpv4('10.9.0.2')!, options: new Map([[OPTION.serverId, GATEWAY]]) }
    send(release, '10.9.0.2', 666)
    expect(leases.list()).toHaveLength(1)
    send(release)
    expect(leases.list()).toEqual([])
    expect(told.at(-1)).toEqual({ kind: 'put', lease: { ...lease, until: clock.date() } })
  })

  it('a card has its address again after its lease ended, was given back, or the thread began anew', () => {
    const one = make({ dhcp: { leaseTime: 60 } })
    expect(one.boot()).toBe('10.9.0.2')
    expect(one.boot(2)).toBe('10.9.0.3')
    one.clock.advance(24 * HOUR)
    expect(one.leases.list()).toEqual([])
    expect(one.boot(3)).toBe('10.9.0.4')
    expect(one.boot(2)).toBe('10.9.0.3')
    // What was told is all that the next one needs.
    const kept = new Map<string, Lease>()
    for (const { kind, lease } of one.told) if (kind === 'put') kept.set(lease.mac, lease)
    const next = make({}, { clock: one.clock })
    next.leases.restore([...kept.values()])
    expect(next.boot(4)).toBe('10.9.0.5')
    expect(next.boot(2)).toBe('10.9.0.3')
    expect(next.boot()).toBe('10.9.0.2')
  })

  it('who restarts keeps its address, also where the server has forgotten it; who comes from another network is told so', () => {
    const { send, boot } = make()
    expect(boot()).toBe('10.9.0.2')
    expect(send({ type: DHCP.request, options: wants('10.9.0.2') })!.message.type).toBe(DHCP.ack)
    expect(send({ type: DHCP.request, chaddr: 2, options: wants('10.9.0.77') })!.message.type).toBe(DHCP.ack)
    const denied = send({ type: DHCP.request, chaddr: 3, options: wants('192.168.1.5') })!
    expect(denied.message).toMatchObject({ type: DHCP.nak, yiaddr: new Uint8Array(4) })
    expect(denied.how).toMatchObject({ destination: Uint8Array.of(255, 255, 255, 255), toMac: 0xffff_ffff_ffff })
    // Another's, the gateway's, and another than it has.
    expect(send({ type: DHCP.request, chaddr: 3, options: wants('10.9.0.2') })!.message.type).toBe(DHCP.nak)
    expect(send({ type: DHCP.request, chaddr: 3, options: wants('10.9.0.1') })!.message.type).toBe(DHCP.nak)
    expect(send({ type: DHCP.request, chaddr: 3, options: wants('10.9.0.255') })!.message.type).toBe(DHCP.nak)
    expect(send({ type: DHCP.request, options: wants('10.9.0.50') })!.message.type).toBe(DHCP.nak)
    expect(send({ type: DHCP.request, chaddr: 3, ciaddr: parseIpv4('10.9.0.2')! })!.message.type).toBe(DHCP.nak)
  })

  it('an offer is free again when its time is over, or the client took another server’s', () => {
    const { send, clock } = make({ dhcp: { from: '10.9.0.10', to: '10.9.0.10' } })
    expect(send({ type: DHCP.discover })).not.toBeNull()
    expect(send({ type: DHCP.discover, chaddr: 2 })).toBeNull()
    clock.advance(31_000)
    expect(send({ type: DHCP.discover, chaddr: 2 })).not.toBeNull()
    expect(send({ type: DHCP.discover })).toBeNull()
    const other = new Map([...wants('10.9.0.10'), [OPTION.serverId, parseIpv4('10.9.0.9')!]])
    expect(send({ type: DHCP.request, chaddr: 2, options: other })).toBeNull()
    expect(send({ type: DHCP.discover })).not.toBeNull()
  })

  it('a declined address is set aside for ten minutes; only its card may decline it', () => {
    const { send, boot, clock, server } = make({ dhcp: { from: '10.9.0.10', to: '10.9.0.11' } })
    expect(boot()).toBe('10.9.0.10')
    const decline = new Map([...wants('10.9.0.10'), [OPTION.serverId, GATEWAY]])
    send({ type: DHCP.decline, chaddr: 2, options: decline })
    expect(server.counters.declined).toBe(0)
    send({ type: DHCP.decline, options: decline })
    expect(server.counters.declined).toBe(1)
    expect(boot()).toBe('10.9.0.11')
    expect(send({ type: DHCP.discover, chaddr: 2 })).toBeNull()
    expect(server.counters.starved).toBe(1)
    clock.advance(601_000)
    expect(boot(2)).toBe('10.9.0.10')
  })

  it('who has its address otherwise is told the rest', () => {
    const { send } = make()
    const asked = new Map([[OPTION.parameters, Uint8Array.of(OPTION.dns, OPTION.domain)]])
    const answer = send({ type: DHCP.inform, ciaddr: parseIpv4('10.9.0.200')!, options: asked })!
    expect(answer.message).toMatchObject({ type: DHCP.ack, yiaddr: new Uint8Array(4) })
    expect([...answer.message.options.keys()]).toEqual([OPTION.serverId, OPTION.mask, OPTION.dns, OPTION.domain])
    expect(answer.how).toMatchObject({ destination: Uint8Array.of(10, 9, 0, 200) })
    expect(send({ type: DHCP.inform, ciaddr: parseIpv4('192.168.0.1')! })).toBeNull()
    expect(send({ type: DHCP.inform })).toBeNull()
  })

  it('what comes by a relay, is no request or no message is counted and not answered', () => {
    const { send, server } = make()
    expect(send({ type: DHCP.discover, giaddr: parseIpv4('10.8.0.1')! })).toBeNull()
    expect(send({ type: DHCP.discover, op: 'reply' })).toBeNull()
    expect(send({ type: 77 })).toBeNull()
    expect(server.counters.refused).toBe(3)
  })
})

describe('DHCP: what is told', () => {
  it('answers go where the client can hear them', () => {
    const { send } = make()
    expect(send({ type: DHCP.discover })!.how).toEqual({
      source: GATEWAY,
      destination: Uint8Array.of(10, 9, 0, 2),
      destinationPort: 68,
      toMac: CARD,
    })
    expect(send({ type: DHCP.discover, broadcast: true })!.how).toMatchObject({
      destination: Uint8Array.of(255, 255, 255, 255),
      toMac: 0xffff_ffff_ffff,
    })
  })

  it('options come in the order in which they were asked for, the mask first, the client’s identifier as it was', () => {
    const { server, send, settingsOf } = make()
    const document = {
      ipv4: '10.9.0.0/24',
      mtu: 9000,
      dhcp: { bootFile: 'pxe.0', reservations: [{ mac: '52:54:00:00:00:01', address: '10.9.0.40', name: 'db' }] },
    }
    server.configure(settingsOf(document, [{ address: parseIpv4('10.9.0.5')!, to: [parseSubnet('10.20.0.0/16')!] }]))
    const id = Uint8Array.of(255, 1, 2, 3)
    const asked = Uint8Array.of(121, 3, 6, 26, 42, 12, 66, 67, 15, 28, 200)
    const options = new Map([
      [OPTION.parameters, asked],
      [OPTION.clientId, id],
      [OPTION.maxSize, word(1500)],
    ])
    const { message } = send({ type: DHCP.discover, options })!
    expect([...message.options.keys()]).toEqual([54, 61, 51, 58, 59, 1, 121, 3, 6, 26, 42, 12, 66, 67, 15, 28])
    expect(message).toMatchObject({ yiaddr: parseIpv4('10.9.0.40'), file: 'pxe.0', siaddr: GATEWAY })
    const text = (code: number): string => new TextDecoder().decode(message.options.get(code))
    expect([12, 15, 66, 67].map(text)).toEqual(['db', 'lab.internal', '10.9.0.1', 'pxe.0'])
    expect(message.options.get(61)).toEqual(id)
    expect([...message.options.get(121)!]).toEqual([16, 10, 20, 10, 9, 0, 1, 0, 10, 9, 0, 1])
    expect([...message.options.get(26)!]).toEqual([9000 >> 8, 9000 & 255])
    expect([...message.options.get(28)!]).toEqual([10, 9, 0, 255])
  })

  it('a host-only network tells of no router, and shorter leases are given to who wants them', () => {
    const { send } = make({ kind: 'host-only', ntp: false })
    const { message } = send({ type: DHCP.discover })!
    expect(message.options.has(OPTION.router)).toBe(false)
    expect(message.options.has(OPTION.ntp)).toBe(false)
    // What other networks there are is learned soon.
    expect(secondsOf(message.options.get(OPTION.renewal))).toBe(300)
    const ack = send({ type: DHCP.request, options: new Map([...wants('10.9.0.2'), [OPTION.leaseTime, seconds(300)]]) })!
    expect(secondsOf(ack.message.options.get(OPTION.leaseTime))).toBe(300)
  })
})

describe('DHCP: who gets which address', () => {
  const reservations = [{ mac: '52:54:00:00:00:01', address: '10.9.0.200' }]

  it('reservations may lie outside of the pool, and are nobody else’s', () => {
    const { boot, send } = make({ dhcp: { from: '10.9.0.10', to: '10.9.0.12', reservations } })
    expect(send({ type: DHCP.request, chaddr: 2, options: wants('10.9.0.200') })!.message.type).toBe(DHCP.nak)
    expect(boot()).toBe('10.9.0.200')
    expect(boot(2)).toBe('10.9.0.10')
    // A wish that can be had is granted.
    expect(boot(3, [[OPTION.requestedAddress, parseIpv4('10.9.0.12')!]])).toBe('10.9.0.12')
    expect(boot(4, [[OPTION.requestedAddress, parseIpv4('10.9.0.13')!]])).toBe('10.9.0.11')
    expect(boot(5)).toBeNull()
  })

  it('one that is made while the machine runs is had at the next renewal; the other’s lease of it ends', () => {
    const { boot, send, server, leases, settingsOf, told } = make()
    expect(boot()).toBe('10.9.0.2')
    expect(boot(2)).toBe('10.9.0.3')
    server.configure(settingsOf({ dhcp: { reservations: [{ mac: '52:54:00:00:00:01', address: '10.9.0.3' }] } }))
    expect(told.slice(2).map(({ kind, lease }) => `${kind} ${lease.address}`)).toEqual(['removed 10.9.0.3', 'removed 10.9.0.2'])
    expect(send({ type: DHCP.request, ciaddr: parseIpv4('10.9.0.2')! })!.message.type).toBe(DHCP.nak)
    expect(boot()).toBe('10.9.0.3')
    expect(send({ type: DHCP.request, chaddr: 2, ciaddr: parseIpv4('10.9.0.3')! })!.message.type).toBe(DHCP.nak)
    expect(boot(2)).toBe('10.9.0.2')
    expect(formatIp(leases.addressOf(CARD)!)).toBe('10.9.0.3')
  })

  it('an address that somebody answers at is passed over', async () => {
    const asked: string[] = []
    const probe = async (address: Uint8Array): Promise<boolean> => {
      asked.push(formatIp(address))
      return asked.length <= 2
    }
    const { send, answers } = make({}, { probe })
    send({ type: DHCP.discover })
    send({ type: DHCP.discover })
    await expect.poll(() => answers.length).toBe(1)
    expect(asked).toEqual(['10.9.0.2', '10.9.0.3', '10.9.0.4'])
    expect(formatIp(answers[0]!.message.yiaddr)).toBe('10.9.0.4')
    // What a card has or had is not asked for again.
    expect(send({ type: DHCP.request, options: wants('10.9.0.4') })!.message.type).toBe(DHCP.ack)
    expect(formatIp(send({ type: DHCP.discover })!.message.yiaddr)).toBe('10.9.0.4')
    expect(asked).toHaveLength(3)
  })

  it('another subnet begins anew, a larger one of the same place keeps its leases', () => {
    const { boot, server, settingsOf, leases, told } = make()
    expect(boot()).toBe('10.9.0.2')
    server.configure(settingsOf({ ipv4: '10.9.0.0/16' }))
    expect(leases.list().map(({ address }) => address)).toEqual(['10.9.0.2'])
    expect(told).toHaveLength(1)
    server.configure(settingsOf({ ipv4: '10.10.0.0/24' }))
    expect(leases.list()).toEqual([])
    expect(told[1]).toMatchObject({ kind: 'removed', lease: { address: '10.9.0.2' } })
  })

  it('a card that is forgotten gets a new address', () => {
    const { boot, leases, told } = make()
    expect(boot()).toBe('10.9.0.2')
    leases.release(CARD)
    expect(told.at(-1)).toMatchObject({ kind: 'removed', lease: { address: '10.9.0.2' } })
    expect(leases.size).toBe(0)
  })
})

describe('DHCP: many machines', () => {
  it('a day of machines that come and go leaves no growth, and no address is had twice', () => {
    const { send, clock, leases, boot, told } = make({ ipv4: '10.9.0.0/16', dhcp: { leaseTime: 600 } })
    const random = seeded(1)
    const kept = new Map<string, Lease>()
    let seen = 0
    const home = boot()
    for (let minute = 0; minute < 24 * 60; minute++) {
      for (let count = 0; count < 6; count++) {
        const chaddr = 1000 + random(100_000)
        const address = boot(chaddr)
        expect(address).not.toBeNull()
        if (random(2) === 0)
          send({ type: DHCP.release, chaddr, ciaddr: parseIpv4(address!)!, options: new Map([[OPTION.serverId, GATEWAY]]) })
      }
      send({ type: DHCP.request, ciaddr: parseIpv4(home!)! })
      clock.advance(60_000)
      for (; seen < told.length; seen++) {
        const { kind, lease } = told[seen]!
        if (kind === 'put') kept.set(lease.address, lease)
        else kept.delete(lease.address)
      }
      const list = leases.list()
      expect(new Set(list.map(({ address }) => address)).size).toBe(list.length)
      expect(new Set(list.map(({ mac }) => mac)).size).toBe(list.length)
    }
    expect(leases.size).toBeLessThanOrEqual(MAX_LEASES)
    // Who listens knows the same.
    expect(kept.size).toBe(leases.size)
    expect(clock.waiting).toBe(0)
    expect(formatIp(leases.addressOf(CARD)!)).toBe(home)
  })

  it('a flood of made-up cards starves strangers, not who is known; it ends with the offers', () => {
    const { send, boot, server, clock } = make({ dhcp: { leaseTime: 60 } })
    const home = boot()
    clock.advance(HOUR)
    for (let card = 0; card < 4000; card++) {
      const chaddr = 0x10_0000 + card
      if (card < 252) expect(send({ type: DHCP.discover, chaddr })).not.toBeNull()
      else if (card > 252) expect(send({ type: DHCP.discover, chaddr })).toBeNull()
      // The last address is what is remembered.
      if (card === 251) expect(boot()).toBe(home)
    }
    expect(server.counters.starved).toBe(3747)
    clock.advance(31_000)
    expect(boot(7)).not.toBeNull()
  })

  it('a machine that asks without end is heard so often and no more', () => {
    const { server, send, told, clock } = make()
    const renew = { type: DHCP.request, ciaddr: Uint8Array.of(10, 9, 0, 2) }
    for (let again = 0; again < 20_000; again++) send(renew, '10.9.0.2')
    const before = told.length
    expect(before).toBe(4096)
    clock.advance(1000)
    for (let again = 0; again < 20_000; again++) send(renew, '10.9.0.2')
    expect(told.length - before).toBe(100)
    expect(server.counters.refused).toBe(40_000 - 4196)
  })
})
