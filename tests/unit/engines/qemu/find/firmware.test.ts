import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findFirmware, firmwareOf, parseDescription } from '../../../../../src-main/engines/qemu/find/firmware.ts'
import { fakeComputer } from './fake-computer.ts'

interface Given {
  code: string
  vars?: string
  features?: string[]
  mode?: string
  format?: string
  arch?: string
}
function description({ code, vars, features = [], mode, format = 'raw', arch = 'x86_64' }: Given): string {
  return JSON.stringify({
    description: 'UEFI firmware',
    'interface-types': ['uefi'],
    mapping: {
      device: 'flash',
      ...(mode === undefined ? {} : { mode }),
      executable: { filename: code, format },
      ...(vars === undefined ? {} : { 'nvram-template': { filename: vars, format } }),
    },
    targets: [{ architecture: arch, machines: ['pc-q35-*'] }],
    features,
    tags: [],
  })
}
const of = (given: Given): ReturnType<typeof firmwareOf> => firmwareOf(parseDescription(description(given))!)

describe('descriptions of firmware', () => {
  test('Debian’s OVMF: plain, and with Secure Boot’s keys', () => {
    expect(of({ code: '/c', vars: '/v', features: ['acpi-s3', 'amd-sev', 'verbose-dynamic'] })).toEqual([
      { arch: 'x86_64', kind: 'uefi', code: '/c', vars: '/v', format: 'raw' },
    ])
    expect(of({ code: '/c', vars: '/v', features: ['enrolled-keys', 'requires-smm', 'secure-boot'] })).toEqual([
      { arch: 'x86_64', kind: 'uefi-secure', code: '/c', vars: '/v', format: 'raw' },
    ])
  })

  test('not used: Secure Boot without keys, what needs SMM, one file for both, other targets and formats', () => {
    expect(of({ code: '/c', vars: '/v', features: ['secure-boot', 'requires-smm'] })).toEqual([])
    expect(of({ code: '/c', vars: '/v', features: ['requires-smm'] })).toEqual([])
    expect(of({ code: '/c', mode: 'combined' })).toEqual([])
    expect(of({ code: '/c' })).toEqual([])
    expect(of({ code: '/c', vars: '/v', arch: 'loongarch64' })).toEqual([])
    expect(of({ code: '/c', vars: '/v', format: 'vmdk' })).toEqual([])
  })

  test('firmware that keeps no variables', () => {
    expect(of({ code: '/c', mode: 'stateless' })).toMatchObject([{ vars: null }])
  })

  test('a BIOS is loaded into memory', () => {
    const bios = {
      'interface-types': ['bios'],
      mapping: { device: 'memory', filename: '/usr/share/qemu/bios-256k.bin' },
      targets: [{ architecture: 'i386' }, { architecture: 'x86_64' }],
      features: ['acpi-s3'],
    }
    expect(firmwareOf(parseDescription(JSON.stringify(bios))!).map(({ arch, kind }) => `${arch} ${kind}`)).toEqual([
      'i386 bios',
      'x86_64 bios',
    ])
  })

  test('any text is a description or none', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseDescription(text)))
    expect(parseDescription('')).toBeNull()
  })
})

describe('finding firmware', () => {
  const images = { '/fw/a.fd': 'a', '/fw/b.fd': 'b', '/fw/v.fd': 'v' }
  const find = async (files: Record<string, string>): Promise<string[]> =>
    (await findFirmware(fakeComputer({ platform: 'linux', files }), ['/usr/bin/qemu-system-x86_64'])).map(({ code }) => code)

  test('the first by name is the best', async () => {
    const folder = '/usr/share/qemu/firmware'
    expect(
      await find({
        ...images,
        [`${folder}/60-a.json`]: description({ code: '/fw/a.fd', vars: '/fw/v.fd' }),
        [`${folder}/50-b.json`]: description({ code: '/fw/b.fd', vars: '/fw/v.fd' }),
      }),
    ).toEqual(['/fw/b.fd', '/fw/a.fd'])
  })

  test('a stronger folder replaces by name, and an empty file takes away', async () => {
    const packaged = { '/usr/share/qemu/firmware/50-a.json': description({ code: '/fw/a.fd', vars: '/fw/v.fd' }) }
    const replaced = { '/etc/qemu/firmware/50-a.json': description({ code: '/fw/b.fd', vars: '/fw/v.fd' }) }
    expect(await find({ ...images, ...packaged, ...replaced })).toEqual(['/fw/b.fd'])
    expect(await find({ ...images, ...packaged, '/home/ann/.config/qemu/firmware/50-a.json': '' })).toEqual([])
  })

  test('what every QEMU can open comes before qcow2', async () => {
    const folder = '/usr/share/qemu/firmware'
    expect(
      await find({
        ...images,
        [`${folder}/10-a.json`]: description({ code: '/fw/a.fd', vars: '/fw/v.fd', format: 'qcow2' }),
        [`${folder}/20-b.json`]: description({ code: '/fw/b.fd', vars: '/fw/v.fd' }),
      }),
    ).toEqual(['/fw/b.fd', '/fw/a.fd'])
  })

  test('files that are not there, and damaged descriptions, count as none', async () => {
    const folder = '/usr/share/qemu/firmware'
    expect(
      await find({ [`${folder}/a.json`]: description({ code: '/fw/gone.fd', vars: '/fw/v.fd' }), [`${folder}/b.json`]: '{', ...images }),
    ).toEqual([])
  })

  test('without descriptions, the places of the distributions', async () => {
    expect(await find({ '/usr/share/OVMF/OVMF_CODE_4M.fd': 'c', '/usr/share/OVMF/OVMF_VARS_4M.fd': 'v' })).toEqual([
      '/usr/share/OVMF/OVMF_CODE_4M.fd',
    ])
  })

  test('Windows: descriptions name the folders of who built QEMU, and the files lie beside them', async () => {
    const data = 'C:\\Program Files\\qemu\\share'
    const files = {
      [`${data}\\firmware\\60-edk2-x86_64.json`]: description({
        code: '/qemu/share/edk2-x86_64-code.fd',
        vars: '/qemu/share/edk2-i386-vars.fd',
      }),
      [`${data}\\edk2-x86_64-code.fd`]: 'c',
      [`${data}\\edk2-i386-vars.fd`]: 'v',
    }
    const computer = fakeComputer({ platform: 'win32', files })
    expect(await findFirmware(computer, ['C:\\Program Files\\qemu\\qemu-system-x86_64.exe'])).toEqual([
      { arch: 'x86_64', kind: 'uefi', code: `${data}\\edk2-x86_64-code.fd`, vars: `${data}\\edk2-i386-vars.fd`, format: 'raw' },
    ])
  })

  test('macOS: Homebrew’s QEMU brings its own', async () => {
    const data = '/opt/homebrew/share/qemu'
    const files = { [`${data}/edk2-aarch64-code.fd`]: 'c', [`${data}/edk2-arm-vars.fd`]: 'v' }
    const computer = fakeComputer({ platform: 'darwin', arch: 'arm64', files })
    expect(await findFirmware(computer, ['/opt/homebrew/bin/qemu-system-aarch64'])).toMatchObject([
      { arch: 'aarch64', kind: 'uefi', code: `${data}/edk2-aarch64-code.fd`, vars: `${data}/edk2-arm-vars.fd` },
    ])
  })
})
