import { describe, expect, test } from 'vitest'
import { guestByCim, guestByName, imageFormat, nicModel, writtenGuest } from '../../../../src-main/host/exchange/device-names.ts'
import { countOf, isTrue, macOf } from '../../../../src-main/host/exchange/text/counts.ts'
import { plainHref, plainName } from '../../../../src-main/host/exchange/text/file-reference.ts'
import { MAX_REMARKS, Remarks, shown } from '../../../../src-main/host/exchange/text/remarks.ts'

describe('names of files', () => {
  test.each([
    ['a.vmdk', 'a.vmdk'],
    ['./a.vmdk', 'a.vmdk'],
    ['Snapshots/{a}.vdi', 'Snapshots/{a}.vdi'],
    ['Snapshots\\a.vdi', 'Snapshots/a.vdi'],
    ['a..b', 'a..b'],
    ['中文 disk.vmdk', '中文 disk.vmdk'],
  ])('“%s” is %s', (reference, name) => expect(plainName(reference)).toBe(name))

  test.each([
    ...[
      '',
      '.',
      '..',
      '/',
      '/a',
      '\\a',
      '\\\\server\\share\\a',
      'a/',
      'a//b',
      'a/../b',
      '../a',
      'a/..',
      './../a',
      'a/./b',
      'C:a',
      'c:/a',
      'file:///a',
    ],
    ...['http://a/b', 'a:stream', 'a\0b', 'a\nb', '\ud800', 'x'.repeat(2000), 'a/'.repeat(9) + 'b', '[datastore1] a/../../b.vmdk'],
  ])('“%s” is not followed', (reference) => expect(plainName(reference)).toBeNull())

  test('references of URIs', () => {
    expect(plainHref('a%20b', () => false)).toBe('a b')
    expect(plainHref('a%20b', (name) => name === 'a%20b')).toBe('a%20b')
    expect(plainHref('100%', () => false)).toBe('100%')
    expect(plainHref('%2fetc%2fpasswd', () => false)).toBeNull()
    expect(plainHref('%2e%2e%2fa', () => false)).toBeNull()
  })
})

describe('values', () => {
  test('counts', () => {
    expect(['5', ' 7 ', '0'].map(countOf)).toEqual([5, 7, 0])
    expect(['', '-1', '1.5', '1e3', '0x10', '${a}', '99999999999999999999', null, undefined].map(countOf)).toEqual(Array(9).fill(null))
  })

  test('truth', () => {
    expect(['TRUE', 'true', '1', 'Yes'].map(isTrue)).toEqual(Array(4).fill(true))
    expect(['FALSE', '0', '', null, 'truex'].map(isTrue)).toEqual(Array(5).fill(false))
  })

  test('MAC addresses', () => {
    expect(['080027ABCDEF', '08:00:27:ab:cd:ef', '08-00-27-ab-cd-ef'].map(macOf)).toEqual(Array(3).fill('08:00:27:ab:cd:ef'))
    expect(['', '01:00:5e:00:00:01', '00:00:00:00:00:00', '08:00:27', 'zz:00:27:ab:cd:ef', null].map(macOf)).toEqual(Array(6).fill(null))
  })
})

describe('guests', () => {
  test.each([
    ['ubuntu-64', 'linux', 'x86_64'],
    ['Debian_arm64', 'linux', 'aarch64'],
    ['arm-fedora-64', 'linux', 'aarch64'],
    ['rhel9_64Guest', 'linux', 'x86_64'],
    ['ArchLinux', 'linux', 'i386'],
    ['windows9_64Guest', 'windows', 'x86_64'],
    ['WindowsXP', 'windows', 'i386'],
    ['winNetStandard', 'windows', 'i386'],
    ['darwin20-64', 'macos', 'x86_64'],
    ['MacOS_64', 'macos', 'x86_64'],
    ['freebsd13-64', 'bsd', 'x86_64'],
    ['OpenSolaris_64', 'solaris', 'x86_64'],
    ['DOS', 'dos', 'i386'],
    ['Other', 'other', 'i386'],
    ['other-64', 'other', 'x86_64'],
    ['', 'other', null],
  ])('%s', (name, family, arch) => expect(guestByName(name)).toMatchObject({ guest: { family }, arch }))

  test('what is written is read back', () => {
    for (const family of ['linux', 'windows', 'bsd', 'solaris'] as const)
      for (const arch of ['i386', 'x86_64'] as const) {
        const { cim, vmware } = writtenGuest({ family, label: null }, arch)
        expect(guestByCim(cim)).toEqual({ family, arch })
        expect(guestByName(vmware!)).toMatchObject({ guest: { family }, arch })
      }
    expect([0, 1, 9, 39, 9999].map(guestByCim)).toEqual(Array(5).fill(null))
  })
})

test('network cards and formats', () => {
  expect(
    ['E1000', '82545EM', 'PCNet32', 'Am79C973', 'VmxNet3', 'virtio-net-pci', 'VirtIO', 'ne2k_pci', 'constructor', '', null].map(nicModel),
  ).toEqual([...['e1000', 'e1000', 'pcnet', 'pcnet', 'vmxnet3', 'virtio', 'virtio', 'ne2k', 'other', null, null]])
  expect(imageFormat('http://www.vmware.com/interfaces/specifications/vmdk.html#sparse', 'a')).toBe('vmdk')
  expect(imageFormat('http://go.microsoft.com/fwlink/?LinkId=137171', 'a.vmdk')).toBe('vhd')
  expect(imageFormat(null, 'a.b.QCOW2')).toBe('qcow2')
  expect(imageFormat(null, 'a.constructor')).toBeNull()
})

test('remarks are one each, and not without end', () => {
  const remarks = new Remarks()
  for (let at = 0; at < MAX_REMARKS + 10; at++) for (let twice = 0; twice < 2; twice++) remarks.add(`${at}`)
  expect(remarks.list()).toHaveLength(MAX_REMARKS + 1)
  expect(remarks.list().at(-1)).toBe('And 20 more that are left out.')
  expect(shown('a\n\tb\u202ec\ud800')).toBe('a b c\ufffd')
  expect(shown('x'.repeat(500))).toHaveLength(80)
})
