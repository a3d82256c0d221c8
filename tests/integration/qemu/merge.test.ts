/** Layers of a real QEMU's disk become one while its guest writes: the disk's bytes, whatever happens, and the files that are left. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { createImage } from '../../../src-main/storage/jobs/create-image.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { backingOf } from '../../../src-main/storage/chain/rests-on.ts'
import type { QemuMachine } from '../../../src-main/engines/qemu/qemu-machine.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { expectSame } from '../../support/disk-model.ts'
import { withLeakCheck } from '../../support/leak-check.ts'
import { qemuImg, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { echoSpec, QemuBench, type Listener } from '../../support/qemu-machine.ts'
import { QEMU_PROGRAM } from '../../support/qemu-program.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { specDrive } from '../../support/spec-drive.ts'
import { WRITABLE_SECTORS, writingDisk } from '../../support/writing-disk.ts'

const NEVER = new AbortController().signal

describe.skipIf(!QEMU_PROGRAM || WITHOUT_QEMU_IMG || process.platform === 'win32')('merging layers of a disk in use', () => {
  withLeakCheck()

  const bench = new QemuBench((folder) =>
    echoSpec(folder, { drives: [specDrive('disk0', 'disk', { path: join(folder, 'd0.qcow2'), format: 'qcow2' })] }),
  )
  const file = (name: string): string => join(bench.folder, `${name}.qcow2`)
  /** What the disk must have. */
  let model: Uint8Array

  beforeEach(async () => {
    model = writingDisk()
    await writeFile(join(bench.folder, 'disk.img'), model)
    await qemuImg('convert', '-O', 'qcow2', join(bench.folder, 'disk.img'), file('d0'))
  })

  const boot = async (): Promise<{ machine: QemuMachine; heard: Listener }> =>
    bench.boot({ qemu: { ...bench.spec.qemu!, firmware: { kind: 'bios', code: null } }, boot: { kind: 'firmware', order: ['disk'] } })

  /** The guest writes these sectors, and answers. */
  async function write(
    { machine, heard }: { machine: QemuMachine; heard: Listener },
    sectors: readonly number[],
    value: number,
  ): Promise<void> {
    for (const sector of sectors) {
      heard.text = ''
      await machine.serial[0]!.input(Uint8Array.of(sector & 0xff, sector >> 8, value))
      await heard.printed('k')
      model.fill(value, sector * 512, (sector + 1) * 512)
    }
  }

  /** As a snapshot does. */
  async function freeze(machine: QemuMachine, below: string, above: string): Promise<void> {
    await createImage({
      path: file(above),
      format: 'qcow2',
      size: 32 * MiB,
      backing: { path: file(below), format: 'qcow2', folders: [bench.folder] },
    })
    await machine.pause()
    await machine.capture({ memory: null, disks: [{ drive: 'disk0', path: file(above) }] })
    await machine.resume()
  }

  const merge = (machine: QemuMachine, lower: string, upper: string, base: string | null, signal = NEVER): Promise<void> =>
    machine.mergeDisk({ lower: file(lower), upper: file(upper), base: base === null ? null : file(base) }, signal)

  async function expectDisk(name: string, wanted = model): Promise<void> {
    await qemuImg('check', file(name))
    const image = await openImage({ path: file(name), format: 'qcow2', readOnly: true, folders: [bench.folder] })
    expectSame(await readBytes(image, 0, wanted.length), wanted, 0)
    await image.close()
  }

  const some = (from: number, count: number, step = 40): number[] =>
    Array.from({ length: count }, (_, at) => (from + at * step) % WRITABLE_SECTORS)

  test('one that is written, one that is frozen, and the first: each is deleted, and the guest writes on', async () => {
    const it = await boot()
    const { machine } = it
    const states: Uint8Array[] = []
    for (const at of [0, 1, 2, 3]) {
      await write(it, some(100 + at * 30, 60), 10 + at)
      states.push(model.slice())
      await createLayer(it, at)
    }
    await write(it, some(33, 60), 99)
    // d0 <- d1 <- d2 <- d3 <- d4, which is written. A layer that is frozen goes into one that is, too.
    const during = write(it, some(7, 50, 911), 50)
    await merge(machine, 'd1', 'd2', 'd0')
    await during
    expect(await backingOf(file('d2'), 'qcow2')).toEqual({ path: 'd0.qcow2', format: 'qcow2' })
    await merge(machine, 'd3', 'd4', 'd2')
    expect(await backingOf(file('d4'), 'qcow2')).toEqual({ path: 'd2.qcow2', format: 'qcow2' })
    await write(it, some(9, 30, 1013), 51)
    await merge(machine, 'd0', 'd2', null)
    expect(await backingOf(file('d2'), 'qcow2')).toBeNull()
    await freeze(machine, 'd4', 'd5')
    await write(it, some(11, 30, 1013), 52)
    await merge(machine, 'd4', 'd5', 'd2')
    await machine.powerOff()
    // What was merged is not needed any more.
    for (const gone of ['d0', 'd1', 'd3', 'd4']) await qemuImg('create', '-f', 'qcow2', file(gone), '1M')
    await expectDisk('d5')
    await expectDisk('d2', states[2])
  })

  const createLayer = ({ machine }: { machine: QemuMachine }, at: number): Promise<void> => freeze(machine, `d${at}`, `d${at + 1}`)

  const qemuPid = async (): Promise<number> => {
    const [name] = await readdir(join(bench.runtime, 'coppice'))
    return (JSON.parse(await readFile(join(bench.runtime, 'coppice', name!, 'machine.json'), 'utf8')) as { pid: number }).pid
  }

  test('cancelled, it goes on where it ended, and the machine is off in the middle of it without waiting', async () => {
    const it = await boot()
    const { machine } = it
    await write(it, some(100, 60), 1)
    await freeze(machine, 'd0', 'd1')
    await write(it, some(4000, 20), 2)
    for (let time = 0; time < 3; time++) {
      const stop = new AbortController()
      const merging = merge(machine, 'd0', 'd1', null, stop.signal)
      setTimeout(() => stop.abort(), 5 * time)
      await merging.catch((error: unknown) => expect(error).toMatchObject({ code: 'cancelled' }))
      if ((await backingOf(file('d1'), 'qcow2')) === null) break
    }
    await write(it, some(900, 20), 3)
    const merging = (await backingOf(file('d1'), 'qcow2')) && merge(machine, 'd0', 'd1', null).catch(() => {})
    await machine.powerOff()
    await merging
    await expectDisk('d1')
  })

  test('killed at any moment: the disk is whole, and what was merged is not needed', async () => {
    for (const after of [0, 5, 10, 20, 40, null]) {
      model = writingDisk()
      await qemuImg('convert', '-O', 'qcow2', join(bench.folder, 'disk.img'), file('d0'))
      await rm(file('d1'), { force: true })
      const it = await boot()
      await write(it, some(100, 40), 1)
      await freeze(it.machine, 'd0', 'd1')
      await write(it, some(4000, 40), 2)
      const merging = merge(it.machine, 'd0', 'd1', null).catch(() => {})
      await (after === null ? merging : sleep(after))
      process.kill(await qemuPid(), 'SIGKILL')
      await merging
      await it.heard.event('stopped')
      const alone = (await backingOf(file('d1'), 'qcow2')) === null
      if (after === null) expect(alone).toBe(true)
      if (alone) await rm(file('d0'))
      // What the guest wrote last may still have been QEMU's alone; the rest is there, and nothing else is in its place.
      const image = await openImage({ path: file('d1'), format: 'qcow2', readOnly: true, folders: [bench.folder] })
      const got = await readBytes(image, 0, model.length)
      await image.close()
      const last = new Set(some(4000, 40))
      for (let sector = 0; sector < WRITABLE_SECTORS; sector++) {
        if (last.has(sector) && got.subarray(sector * 512, (sector + 1) * 512).every((byte) => byte === 0))
          model.fill(0, sector * 512, (sector + 1) * 512)
      }
      expectSame(got, model, 0)
    }
  })
})
