import { describe, expect, test } from 'vitest'
import { acceptedHosts, isLoopback, isOwnHost, isOwnOrigin, shownHost, urlHost } from '../../../../src-main/app/serve/addresses.ts'

const loopback = acceptedHosts('127.0.0.1', 4001, ['192.168.1.5'])

describe('Host', () => {
  test.each(['127.0.0.1:4001', 'localhost:4001', 'LOCALHOST:4001', '[::1]:4001'])('%s is ours', (host) => {
    expect(isOwnHost(host, loopback)).toBe(true)
  })

  test.each([
    'evil.example:4001',
    '127.0.0.1',
    '127.0.0.1:4002',
    '127.0.0.1:4001.evil.example',
    '192.168.1.5:4001',
    'localhost.evil.example:4001',
    '0.0.0.0:4001',
    '127.0.0.1:4001, evil.example',
    '',
    undefined,
  ])('%s is not', (host) => {
    expect(isOwnHost(host, loopback)).toBe(false)
  })

  test('listening everywhere accepts the addresses and the name of this computer, and nothing else', () => {
    const everywhere = acceptedHosts('0.0.0.0', 4001, ['192.168.1.5', 'fd00::5'])
    for (const host of ['192.168.1.5:4001', '[fd00::5]:4001', 'localhost:4001']) expect(isOwnHost(host, everywhere)).toBe(true)
    expect(isOwnHost('evil.example:4001', everywhere)).toBe(false)
  })

  test('one address of the network does not open loopback names', () => {
    expect([...acceptedHosts('192.168.1.5', 80, [])]).toEqual(['192.168.1.5:80', '192.168.1.5'])
  })
})

describe('Origin', () => {
  test('ours is plain HTTP to an accepted host', () => {
    expect(isOwnOrigin('http://127.0.0.1:4001', loopback)).toBe(true)
    expect(isOwnOrigin('http://localhost:4001', loopback)).toBe(true)
  })

  test.each([
    'http://evil.example',
    'https://127.0.0.1:4001',
    'http://127.0.0.1:4002',
    'http://127.0.0.1:4001/path',
    'http://evil.example#127.0.0.1:4001',
    'http://user@127.0.0.1:4001',
    'null',
    '',
    undefined,
  ])('%s is not', (origin) => {
    expect(isOwnOrigin(origin, loopback)).toBe(false)
  })
})

test('loopback is known by its addresses', () => {
  for (const listen of ['127.0.0.1', '127.9.9.9', '::1', 'localhost']) expect(isLoopback(listen)).toBe(true)
  for (const listen of ['0.0.0.0', '::', '192.168.1.5', '127.evil.example']) expect(isLoopback(listen)).toBe(false)
})

test('the printed name can be opened', () => {
  expect(shownHost('127.0.0.1')).toBe('127.0.0.1')
  expect(shownHost('::1')).toBe('[::1]')
  expect(shownHost('0.0.0.0', ['fd00::5', '192.168.1.5'])).toBe('192.168.1.5')
  expect(shownHost('::', [])).toBe('127.0.0.1')
  expect(urlHost('fd00::5')).toBe('[fd00::5]')
})
