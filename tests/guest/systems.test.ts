/** Systems that others make, unmodified from Debian's packages, made and started as a person does it. */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { MiB } from '../../src-shared/base/units.ts'
import type { DecodedPng } from '../support/png.ts'
import { QEMU_PROGRAM } from '../support/qemu-program.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { guestFiles } from './support/appliance.ts'
import { debianFiles } from './support/debian-files.ts'
import { grubIso } from './support/grub-iso.ts'
import { HostMachine, wholeHost } from './support/host-machine.ts'
import { installerFiles, INSTALLER_CMDLINE } from './support/installer.ts'
import { ScreenReader } from './support/screen-text.ts'

const START_LIMIT = 300_000

let reader: ScreenReader
beforeAll(async () => {
  reader = await ScreenReader.open((await guestFiles()).firmware.vgaBios)
})

describe.skipIf(!QEMU_PROGRAM)('on QEMU', { timeout: START_LIMIT }, () => {
  test('memtest86+ from its CD: its screen reads, and it counts on', async ({ skip }) => {
    const got = await debianFiles({ package: 'memtest86+', arch: 'amd64', files: { 'memtest.iso': '/memtest86+x64.iso' } })
    if ('missing' in got) return skip(got.missing)
    const machine = await HostMachine.start(
      await wholeHost(),
      { name: 'memtest', source: { kind: 'iso', path: got.paths['memtest.iso'] }, engine: 'qemu', memoryMiB: 64 },
      reader,
    )
    const text = await machine.shows(/Status: Testing/)
    expect(text).toMatch(/Memtest86\+ v6/)
    expect(text).toMatch(/Memory {2}: +63MB/)
    expect(text).toMatch(/Errors: 0/)
    await machine.shows(/Pass +[1-9]\d?%/)
  })

  test('Debian’s installer to its first question, on the serial port and on the screen', async ({ skip }) => {
    const got = await installerFiles('amd64')
    if ('missing' in got) return skip(got.missing)
    const machine = await HostMachine.start(
      await wholeHost(),
      { name: 'installer', source: { kind: 'kernel', ...got.paths, cmdline: INSTALLER_CMDLINE }, engine: 'qemu', memoryMiB: 1024 },
      reader,
    )
    expect((await machine.state()).config?.arch, 'what its kernel is for').toBe('x86_64')
    await machine.printed(/Select a language/)
    await machine.shows(/Select a language/)
  })

  test('GRUB’s rescue CD: its menu', async ({ skip }) => {
    const iso = await grubIso()
    if ('missing' in iso) return skip(iso.missing)
    const machine = await HostMachine.start(
      await wholeHost(),
      { name: 'grub', source: { kind: 'iso', path: iso.path }, engine: 'qemu' },
      reader,
    )
    await machine.shows(/\*GNU\/Linux/)
  })

  test.for(['x86_64', 'aarch64'] as const)('UEFI for %s to its shell, which takes keys from the screen', async (arch, { skip }) => {
    const host = await wholeHost()
    const path = await emptyDisk()
    const machine = { name: arch, source: { kind: 'disk', path }, engine: 'qemu', arch, memoryMiB: 256, firmware: 'uefi' } as const
    const { problems } = await host.machines.considerNew({ engine: 'qemu', arch, firmware: 'uefi', source: { kind: 'disk' } })
    if (problems.length > 0) return skip(problems.map(({ message }) => message).join(' '))
    const uefi = await HostMachine.start(host, machine, reader)
    await uefi.printed(/UEFI Interactive Shell v[\s\S]*Shell> *$/)
    const before = linesOf(await uefi.screen())
    const viewer = await uefi.viewer()
    await viewer.type('ver\n')
    // On the screen the same line again, pixel by pixel, farther down; and the serial port is told the same.
    await uefi.printed(/Shell> *ver\s[\s\S]*UEFI Interactive Shell v[\s\S]*Shell> *$/)
    const after = linesOf(await uefi.screen())
    viewer.close()
    expect(before.length).toBeGreaterThan(2)
    expect(after.filter((line) => line === before[0])).toHaveLength(2)
  })
})

/** For firmware that finds nothing to boot. */
async function emptyDisk(): Promise<string> {
  const path = join(await tempFolder(), 'empty.img')
  const file = await open(path, 'w')
  await file.truncate(MiB)
  await file.close()
  return path
}

/** The lines of a screen whose font is not known, each as its pixels: rows between rows of nothing but background. */
function linesOf({ width, height, pixels }: DecodedPng): string[] {
  const lines: string[] = []
  let line = ''
  for (let y = 0; y <= height; y++) {
    const row = pixels.subarray(y * width, (y + 1) * width)
    if (row.some((pixel) => pixel !== pixels[0])) line += row.join()
    else if (line !== '') {
      lines.push(line)
      line = ''
    }
  }
  return lines
}
