import { describe, expect, it } from 'vitest'
import { DnsCache } from '../../../../../src-main/network/services/dns/cache.ts'
import { buildDns, ednsRecord, encodedName, scanDns, TYPE } from '../../../../../src-main/network/services/dns/codec.ts'
import { FakeClock } from '../../../../support/fake-clock.ts'

const question = { name: 'a.lab', type: TYPE.a, class: 1 }
const a = (ttl: number) => ({ name: 'a.lab', type: TYPE.a, class: 1, ttl, data: Uint8Array.of(1, 2, 3, 4) })
const soa = (ttl: number, minimum: number) => ({
  name: 'lab',
  type: TYPE.soa,
  class: 1,
  ttl,
  data: Uint8Array.of(...encodedName('ns.lab'), ...encodedName('me.lab'), ...new Uint8Array(16), 0, 0, minimum >> 8, minimum),
})

function make() {
  const clock = new FakeClock()
  const cache = new DnsCache(clock)
  const put = (key: string, message: Partial<Parameters<typeof buildDns>[0]>) => {
    const bytes = buildDns({ id: 0, flags: 0x8180, question, ...message })
    cache.put(key, bytes, scanDns(bytes)!)
  }
  const ttls = (key: string) => {
    const bytes = cache.get(key)
    return bytes && scanDns(bytes)!.records.map(({ ttl }) => ttl)
  }
  return { clock, cache, put, ttls }
}

describe('DNS answers that are kept', () => {
  it('say how long they may still be kept, and are gone then', () => {
    const { clock, put, ttls } = make()
    put('a', { answers: [a(100), a(60)], additional: [ednsRecord(512, { dnssecOk: true })] })
    expect(ttls('a')).toEqual([100, 60, 0x8000])
    clock.advance(59_500)
    expect(ttls('a')).toEqual([41, 1, 0x8000])
    clock.advance(500)
    expect(ttls('a')).toBeNull()
  })

  it('that say no are kept as their SOA says; failures and what has none are not', () => {
    const { clock, put, ttls } = make()
    put('none', { rcode: 3, authority: [soa(3600, 20)] })
    put('long', { authority: [soa(3600, 4000)] })
    put('failed', { rcode: 2, authority: [soa(3600, 20)] })
    put('bare', { rcode: 3 })
    put('zero', { answers: [a(0)] })
    put('negative', { answers: [a(0x8000_0000)] })
    expect(['failed', 'bare', 'zero', 'negative'].map(ttls)).toEqual([null, null, null, null])
    clock.advance(19_000)
    expect(ttls('none')).toHaveLength(1)
    clock.advance(1000)
    expect(ttls('none')).toBeNull()
    clock.advance(280_000)
    expect(ttls('long')).toBeNull()
  })

  it('are so many at most, those that are used for longer', () => {
    const { cache, put, ttls } = make()
    for (let at = 0; at < 3000; at++) {
      put(`name-${at}`, { answers: [a(1000)] })
      expect(ttls('name-0')).not.toBeNull()
    }
    expect(cache.size).toBe(1000)
    for (let at = 0; at < 100; at++) put(`large-${at}`, { answers: [{ ...a(1000), data: new Uint8Array(40_000) }] })
    expect(cache.size).toBeLessThan(30)
  })
})
