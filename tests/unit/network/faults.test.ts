import { afterEach, expect, it, vi } from 'vitest'
import { guarded } from '../../../src-main/network/faults.ts'
import { DnsServer, dnsSettings } from '../../../src-main/network/services/dns/server.ts'
import { networkSchema } from '../../../src-shared/model/network.ts'
import { dnsQuestion, readDnsAnswer } from '../../support/dns-client.ts'
import { FakeClock } from '../../support/fake-clock.ts'

afterEach(() => void vi.restoreAllMocks())

it('a frame that brings a mistake to light costs the reader nothing but that frame; of very many a few are told', async () => {
  const told = vi.spyOn(console, 'error').mockImplementation(() => {})
  const settings = dnsSettings(networkSchema.parse({ name: 'lab', kind: 'host-only', ipv4: '10.9.0.0/24' }))!
  const broken = (): never => {
    throw new Error('of ours')
  }
  const server = new DnsServer(settings, broken, new FakeClock())
  expect(readDnsAnswer((await server.answer(dnsQuestion('web', 1), 'udp', 1))!)).toMatchObject({ rcode: 2 })
  const receive = guarded(broken)
  for (let again = 0; again < 1000; again++) receive(new Uint8Array(60))
  expect(told.mock.calls.length).toBe(10)
  expect(told.mock.calls[0]![0]).toContain('of ours')
})
