import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, utf8 } from '../../../src-shared/base/bytes.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { parseModuleInfo } from '../../../src-main/appliance/module-info.ts'
import { missingDependencies, moduleName, moduleTables, type ModuleFile } from '../../../src-main/appliance/modules.ts'

/** An ELF file (32 or 64 bits wide) with nothing but .modinfo and the section names. */
function elf(texts: readonly string[], wide: boolean): Uint8Array {
  const info = utf8(texts.map((text) => `${text}\0`).join(''))
  const names = utf8('\0.modinfo\0.shstrtab\0')
  const headerSize = wide ? 64 : 52
  const entrySize = wide ? 64 : 40
  const tableAt = headerSize + info.length + names.length
  const bytes = concatBytes([new Uint8Array(headerSize), info, names, new Uint8Array(entrySize * 3)])
  const view = new DataView(bytes.buffer)
  view.setUint32(0, 0x7f454c46)
  bytes[4] = wide ? 2 : 1
  bytes[5] = 1
  const word = (at: number, value: number): void => (wide ? view.setBigUint64(at, BigInt(value), true) : view.setUint32(at, value, true))
  word(wide ? 0x28 : 0x20, tableAt)
  view.setUint16(wide ? 0x3a : 0x2e, entrySize, true)
  view.setUint16(wide ? 0x3c : 0x30, 3, true)
  view.setUint16(wide ? 0x3e : 0x32, 2, true)
  const section = (index: number, name: number, offset: number, size: number): void => {
    const at = tableAt + index * entrySize
    view.setUint32(at, name, true)
    word(at + (wide ? 0x18 : 0x10), offset)
    word(at + (wide ? 0x20 : 0x14), size)
  }
  section(1, 1, headerSize, info.length)
  section(2, 10, headerSize + info.length, names.length)
  return bytes
}

function modules(depends: Record<string, string>): Map<string, ModuleFile> {
  return new Map(
    Object.entries(depends).map(([name, needs]) => [
      name,
      { path: `kernel/${name}.ko`, data: elf([`name=${name}`, `depends=${needs}`, `alias=pci:${name}*`], false) },
    ]),
  )
}

describe('module info', () => {
  it.each([true, false])('reads names, dependencies and aliases (64 bits: %s)', (wide) => {
    const file = elf(['license=GPL', 'alias=pci:v1*', 'alias=fs-x', 'depends=a,b', 'name=x'], wide)
    expect(parseModuleInfo(file)).toEqual({ name: 'x', depends: ['a', 'b'], aliases: ['pci:v1*', 'fs-x'] })
  })

  it('answers or throws AppError for any bytes', () => {
    const good = elf(['name=x', 'depends='], true)
    const tryParse = (bytes: Uint8Array): void => {
      try {
        parseModuleInfo(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(AppError)
      }
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), tryParse))
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, value, length) => {
        const bad = Uint8Array.from(good)
        bad[at] = value
        tryParse(bad.subarray(0, length))
      }),
    )
  })
})

describe('module tables', () => {
  it('knows a module by its file, in both spellings and packed', () => {
    expect(moduleName('kernel/drivers/char/hw_random/virtio-rng.ko')).toBe('virtio_rng')
    expect(moduleName('kernel/fs/ext4/ext4.ko.xz')).toBe('ext4')
    expect(moduleName('modules.builtin')).toBeNull()
  })

  it('lists what a module needs, nearest first', () => {
    const files = modules({ net: 'bus,failover', bus: 'ring', ring: '', failover: '' })
    expect(missingDependencies(files)).toEqual([])
    const { dep, alias } = moduleTables(files)
    const net = dep.split('\n').find((line) => line.startsWith('kernel/net.ko:'))!
    const order = net.split(' ').slice(1)
    expect([...order].sort()).toEqual(['kernel/bus.ko', 'kernel/failover.ko', 'kernel/ring.ko'])
    expect(order.indexOf('kernel/bus.ko')).toBeLessThan(order.indexOf('kernel/ring.ko'))
    expect(alias).toContain('alias pci:net* net\n')
  })

  it('says what is missing, and refuses a ring', () => {
    expect(missingDependencies(modules({ net: 'bus-core' }))).toEqual(['bus_core'])
    expect(() => moduleTables(modules({ a: 'b', b: 'a' }))).toThrow(/ring/)
  })
})
