import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isNetworkAddress, parseNetworkDisk } from '../../../../src-shared/model/network-disk.ts'

describe('addresses of disks on the network', () => {
  test.each([
    ['nbd://server/disk', { kind: 'nbd', at: { kind: 'tcp', host: 'server', port: 10809 }, exportName: 'disk' }],
    ['nbd://server', { kind: 'nbd', at: { kind: 'tcp', host: 'server', port: 10809 }, exportName: '' }],
    ['NBD://[::1]:1234/a%20b/c', { kind: 'nbd', at: { kind: 'tcp', host: '::1', port: 1234 }, exportName: 'a b/c' }],
    ['nbd://10.0.0.1:1//x', { kind: 'nbd', at: { kind: 'tcp', host: '10.0.0.1', port: 1 }, exportName: '/x' }],
    ['nbd+unix:///disk?socket=/run/nbd.sock', { kind: 'nbd', at: { kind: 'unix', path: '/run/nbd.sock' }, exportName: 'disk' }],
    ['nbd+unix:///?socket=/run/a%20b', { kind: 'nbd', at: { kind: 'unix', path: '/run/a b' }, exportName: '' }],
    [
      'iscsi://server/iqn.2026-11.org.example:d/3',
      { kind: 'iscsi', host: 'server', port: 3260, target: 'iqn.2026-11.org.example:d', lun: 3 },
    ],
    ['nfs://server/srv/disks/a.qcow2', { kind: 'nfs', host: 'server', path: '/srv/disks/a.qcow2' }],
  ])('%s', (text, disk) => {
    expect(isNetworkAddress(text)).toBe(true)
    expect(parseNetworkDisk(text)).toEqual(disk)
  })

  test.each([
    ['nbds://server/disk', 'without TLS'],
    ['nbd://server/disk?tls-certificates=/x', 'options'],
    ['nbd://me:secret@server/disk', 'no user and no password'],
    ['iscsi://me%secret@server/target/0', 'no user and no password'],
    ['nbd:///disk', 'names no host'],
    ['nbd://server:0/disk', 'not a port'],
    ['nbd://server:65536/disk', 'not a port'],
    ['nbd://server/%zz', 'hexadecimal'],
    [`nbd://server/${'a'.repeat(4097)}`, 'at most 4096'],
    ['nbd://server/a b', 'no spaces'],
    ['nbd+unix:///disk', 'full path of the socket'],
    ['nbd+unix:///disk?socket=run', 'full path of the socket'],
    ['iscsi://server/target', 'TARGET/LUN'],
    ['nfs://server/', 'path of an image'],
    ['nfs://server:2049/a.img', 'no port'],
    ['http://server/a.img', 'knows no disks'],
  ])('%s is refused, and why is said', (text, part) => {
    expect(parseNetworkDisk(text)).toContain(part)
  })

  test('files of this computer are none', () => {
    for (const path of ['/a', 'disks/a.img', 'C:\\a', 'C://a', 'nbd:/x', 'a:b']) expect(isNetworkAddress(path)).toBe(false)
  })

  test('any text gives an address or a sentence', () => {
    fc.assert(
      fc.property(fc.constantFrom('nbd', 'nbd+unix', 'iscsi', 'nfs', 'x'), fc.string({ unit: 'binary' }), (scheme, rest) => {
        const disk = parseNetworkDisk(`${scheme}://${rest}`)
        if (typeof disk === 'string') expect(disk).toMatch(/\.$/)
        else expect(disk.kind).toBe(scheme.replace('+unix', ''))
      }),
    )
  })
})
