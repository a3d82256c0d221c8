import { InvalidArgumentError } from 'commander'
import { describe, expect, test } from 'vitest'
import { cardArgument, endpointArgument, percentArgument, rateArgument, timeArgument } from '../../../../../src-main/app/cli/net/values.ts'

describe('a rate', () => {
  test.each([
    ['10mbit', 10_000_000],
    ['512kbit', 512_000],
    ['1.5Gbit', 1_500_000_000],
    ['9600bit', 9600],
    ['10 mbit/s', 10_000_000],
    ['8Mbps', 8_000_000],
  ])('%s', (text, bits) => expect(rateArgument(text)).toBe(bits))
  test.each(['', '10', 'fast', '-1mbit', '10mbyte'])('“%s” is none', (text) =>
    expect(() => rateArgument(text)).toThrow(InvalidArgumentError),
  )
})

describe('a time', () => {
  test.each([
    ['50ms', 50],
    ['1.5s', 1500],
    ['10m', 600_000],
    ['2min', 120_000],
    ['1d', 86_400_000],
  ])('%s', (text, ms) => expect(timeArgument(text)).toBe(ms))
  test.each(['', '50', 'soon', '1 week'])('“%s” is none', (text) => expect(() => timeArgument(text)).toThrow(InvalidArgumentError))
})

test('percentages', () => {
  expect([percentArgument('1%'), percentArgument('0.5'), percentArgument('100%')]).toEqual([1, 0.5, 100])
  for (const text of ['101%', '-1%', 'some']) expect(() => percentArgument(text)).toThrow(InvalidArgumentError)
})

test('where something listens, and where it leads', () => {
  expect(endpointArgument('8080')).toEqual({ host: '', port: 8080 })
  expect(endpointArgument(':8080')).toEqual({ host: '', port: 8080 })
  expect(endpointArgument('0.0.0.0:80')).toEqual({ host: '0.0.0.0', port: 80 })
  expect(endpointArgument('[::1]:80')).toEqual({ host: '::1', port: 80 })
  expect(endpointArgument('web 1:22')).toEqual({ host: 'web 1', port: 22 })
  for (const text of ['', '0', '70000', 'web', 'web:', '[web]:22']) expect(() => endpointArgument(text)).toThrow(InvalidArgumentError)
})

test('network cards', () => {
  expect(cardArgument('web-1:nic0')).toEqual({ machine: 'web-1', nic: 'nic0' })
  expect(cardArgument('a: b:nic0')).toEqual({ machine: 'a: b', nic: 'nic0' })
  expect([cardArgument('web-1'), cardArgument(':nic0'), cardArgument('web-1:')]).toEqual([null, null, null])
})
