import { expect, test } from 'vitest'
import { fieldErrors } from '../../../../src-shared/errors/field-errors.ts'
import { networkSchema } from '../../../../src-shared/model/network.ts'

const many = <T>(count: number, item: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => item(at))
const address = (at: number): string => `10.0.${5 + (at >> 8)}.${at & 255}`

test.each([
  ['impairment.rate', { impairment: { rate: 1e13 } }],
  ['impairment.rate', { impairment: { rate: 1500.5 } }],
  ['impairment.delay', { impairment: { delay: -1 } }],
  ['impairment.jitter', { impairment: { jitter: 90_000 } }],
  ['impairment.loss', { impairment: { loss: 101 } }],
  ['impairment.corrupt', { impairment: { corrupt: -1 } }],
  ['dhcp.leaseTime', { dhcp: { leaseTime: 1e9 } }],
  ['dhcp.dns', { dhcp: { dns: many(4, address) } }],
  ['dhcp.bootFile', { dhcp: { bootFile: 'a'.repeat(128) } }],
  ['dns.upstream', { dns: { upstream: many(4, address) } }],
  ['dns.records.0.value', { dns: { records: [{ type: 'TXT', name: 'a', value: 'a'.repeat(256) }] } }],
  ['policy.zones', { policy: { zones: many(33, (at) => ({ name: `z${at}` })) } }],
  ['policy.rules', { policy: { rules: many(257, () => ({ from: '*', to: '*', action: 'log' })) } }],
  ['watch.patterns', { watch: { patterns: many(33, (at) => ({ name: `p${at}`, bytes: 'ab' })) } }],
  ['watch.patterns.0.bytes', { watch: { patterns: [{ name: 'a', bytes: 'b' }] } }],
  ['captureBytes', { captureBytes: 2 ** 40 }],
  ['hostInterface', { hostInterface: 'a/b' }],
])('%s: what is too much is said in a sentence', (path, part) => {
  const { error } = networkSchema.safeParse({ name: 'lab', kind: 'nat', ipv4: '10.0.5.0/24', ...part })
  const errors = fieldErrors(error!)
  expect(errors.map((one) => one.path)).toContain(path)
  for (const { message } of errors) expect(message).not.toMatch(/expected|pattern \//)
})
