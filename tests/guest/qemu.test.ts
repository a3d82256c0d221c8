/** Coppice Linux for 64-bit PCs on the computer's own QEMU, in software: real guests in real processes. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { QEMU_PROGRAM } from '../support/qemu-program.ts'
import { specDrive } from '../support/spec-drive.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { guestFiles, type GuestFiles } from './support/appliance.ts'
import { Guest } from './support/guest.ts'
import { onQemu } from './support/on-qemu.ts'
import { memoryPlace } from '../support/memory-place.ts'

const MiB = 1024 * 1024

let files: GuestFiles
let folder: string
const guests: Guest[] = []

const keep = (guest: Guest): Guest => {
  guests.push(guest)
  return guest
}
/** Drivers are loaded behind the first prompt. */
const DISK_THERE = 'until [ -b /dev/vda ]; do sleep 0.1; done'
const stopped = async (guest: Guest): Promise<unknown> => guest.event((event) => event.kind === 'stopped')

describe.skipIf(!QEMU_PROGRAM)('Coppice Linux on QEMU', () => {
  beforeAll(async () => {
    files = await guestFiles('x86_64')
  })
  beforeEach(async () => {
    folder = await tempFolder()
  })
  afterEach(async () => {
    for (const guest of guests.splice(0)) await guest.close()
  })

  test('boots, has its processors and its disk, restarts itself, hears its power button, and shows its screen', async () => {
    const path = join(folder, 'disk.img')
    await writeFile(path, new Uint8Array(8 * MiB))
    const guest = keep(await Guest.boot(files, { spec: onQemu({ drives: [specDrive('disk-1', 'disk', { path })] }) }))
    expect(await guest.run('uname -s -m; nproc')).toBe('Linux x86_64\n2')
    await guest.run(DISK_THERE)
    await guest.run('printf written > /dev/vda; sync')
    expect((await readFile(path)).subarray(0, 7).toString()).toBe('written')
    await expect.poll(() => guest.counters.read().diskWrittenBytes).toBeGreaterThan(0)
    const { heartbeats, cpuMicros, memoryBytes, serialOutBytes } = guest.counters.read()
    expect(Math.min(heartbeats, cpuMicros, memoryBytes, serialOutBytes)).toBeGreaterThan(0)

    const { png } = await guest.engine.screenshot({ machine: guest.machine })
    expect(Buffer.from(png.subarray(1, 4)).toString()).toBe('PNG')
    const { stream } = await guest.engine.display({ machine: guest.machine })
    expect(Buffer.from((await stream.read())!).toString()).toBe('RFB 003.008\n')

    const before = guest.events.length
    await guest.type('reboot\n')
    await guest.event((event) => event.kind === 'rebooted', before)
    await guest.event((event) => event.kind === 'booted', before)
    await guest.engine.powerButton({ machine: guest.machine })
    expect(await stopped(guest)).toEqual({ machine: guest.machine, kind: 'stopped', reason: 'guest-poweroff' })
    expect(await stream.read()).toBeNull()
    const log = await readFile(join(guest.logFolder, 'serial0.log'), 'latin1')
    expect(log).toBe(guest.output)
  })

  test('goes on in a new process from where it was suspended, with its disk; and switches itself off', async () => {
    const path = join(folder, 'disk.img')
    await writeFile(path, new Uint8Array(8 * MiB))
    const spec = onQemu({ drives: [specDrive('disk-1', 'disk', { path })] })
    const first = keep(await Guest.boot(files, { spec }))
    await first.run(DISK_THERE)
    await first.run('MARK=kept-$((6 * 7)); printf before > /dev/vda; sync')
    const { machine, engine } = first
    await engine.pause({ machine })
    const memory = join(folder, 'memory')
    expect(await engine.saveMemory({ machine, memory: memoryPlace(memory) })).toMatchObject({ engine: 'qemu', machine, memoryMiB: 256 })
    await engine.powerOff({ machine })
    await first.abandon()

    const second = keep(await Guest.start(files, { spec: { ...spec, id: machine }, memory }))
    expect(await second.run('echo $MARK; head -c 6 /dev/vda')).toBe('kept-42\nbefore')
    await second.type('poweroff\n')
    expect(await stopped(second)).toMatchObject({ reason: 'guest-poweroff' })
  })

  test('runs on when what supervises it fails, and is taken over with its console', async () => {
    const first = keep(await Guest.boot(files, { spec: onQemu() }))
    await first.run('MARK=still')
    await first.abandon()
    const second = keep(await Guest.adopt(first.spec))
    await second.event((event) => event.kind === 'booted')
    expect(await second.run('echo $MARK-here')).toBe('still-here')
    // What was printed before, then what came after: not a byte twice, none lost.
    expect(second.output.startsWith(first.output)).toBe(true)
    expect(await readFile(join(first.logFolder, 'serial0.log'), 'latin1')).toBe(second.output)
  })
})
