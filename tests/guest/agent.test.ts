/** The agent of Coppice Linux on both engines: what the host asks of a guest. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { MiB } from '../../src-shared/base/units.ts'
import type { MachineSpec } from '../../src-shared/model/machine-spec.ts'
import { QEMU_PROGRAM } from '../support/qemu-program.ts'
import { specDrive } from '../support/spec-drive.ts'
import { guestFiles, type GuestFiles } from './support/appliance.ts'
import { exec } from './support/exec.ts'
import { Guest, type GuestOptions } from './support/guest.ts'
import { MemoryDisk } from './support/memory-disk.ts'
import { onQemu } from './support/on-qemu.ts'

const MAC = '52:54:00:aa:bb:cc'
const NICS: MachineSpec['nics'] = [{ id: 'nic0', model: 'virtio', mac: MAC }]
const DISK_BYTES = 16 * MiB
/** ms for a test: two boots of an emulated computer, on one that may be busy. */
const LIMIT = 300_000
/** s that a guest's clock may differ from the host's after it stood still. */
const CLOCK_TOLERANCE = 2

const guests: Guest[] = []
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coppice-guest-'))
})
afterEach(async () => {
  for (const guest of guests.splice(0)) await guest.close()
  await rm(folder, { recursive: true, force: true })
})

const agentEvent = (guest: Guest, present = true, from = 0): Promise<unknown> =>
  guest.event((event) => event.kind === 'agent' && event.present === present, from)

/** Booted, and its agent has answered. */
async function withAgent(files: GuestFiles, options: GuestOptions): Promise<Guest> {
  const guest = await Guest.boot(files, options)
  guests.push(guest)
  await agentEvent(guest)
  return guest
}

const sh = async (guest: Guest, script: string): Promise<string> => {
  const { exitCode, out, err } = await exec(guest, ['sh', '-c', script])
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' })
  return out
}

/** What a guest is made with, and the name of its disk there. */
interface Bench {
  arch: 'i386' | 'x86_64'
  device: string
  options(): Promise<GuestOptions>
}

const BENCHES: Record<'embedded' | 'qemu', Bench> = {
  embedded: {
    arch: 'i386',
    device: '/dev/sda',
    options: () =>
      Promise.resolve({
        spec: { nics: NICS, drives: [specDrive('disk', 'disk')] },
        disks: { disk: new MemoryDisk(new Uint8Array(DISK_BYTES)) },
      }),
  },
  qemu: {
    arch: 'x86_64',
    device: '/dev/vda',
    options: async () => {
      const path = join(folder, 'disk.img')
      await writeFile(path, new Uint8Array(DISK_BYTES))
      return { spec: onQemu({ nics: NICS, drives: [specDrive('disk', 'disk', { path })] }) }
    },
  },
}

/** Writes to `path` and says so; comes back when that is held up. */
async function writeHeldUp(guest: Guest, path: string): Promise<void> {
  const held = `sh -c 'echo text > ${path}; echo "the file is ""written"' & until grep -q "^State:.D" /proc/$!/status; do usleep 20000; done`
  await guest.run(held)
  expect(guest.output).not.toContain('the file is written')
}

describe.each(Object.entries(BENCHES))('the agent of Coppice Linux: %s', (engine, { arch, device, options }) => {
  describe.skipIf(engine === 'qemu' && !QEMU_PROGRAM)('in a guest', () => {
    let files: GuestFiles
    beforeAll(async () => {
      files = await guestFiles(arch)
    })
    const makeDisk = `until [ -b ${device} ]; do usleep 100000; done; mke2fs -q ${device} && mount -t ext4 ${device} /mnt`

    test('runs commands, tells addresses, holds file systems still, and is not needed to shut down', { timeout: LIMIT }, async () => {
      const guest = await withAgent(files, await options())
      const { machine } = guest
      expect(await exec(guest, ['/bin/true'])).toMatchObject({ exitCode: 0, out: '', err: '' })
      expect(await exec(guest, ['false'])).toMatchObject({ exitCode: 1 })
      expect(await exec(guest, ['no-such-program'])).toMatchObject({ exitCode: 127, err: 'no-such-program: not found\n' })
      const odd = ['a b', `it's`, '"quoted" \\ $HOME `id`', 'line\nbreak\t\u0001', 'ünï → 𝄞', '']
      expect(await exec(guest, ['printf', '%s|', ...odd])).toMatchObject({ exitCode: 0, out: odd.map((one) => `${one}|`).join('') })
      expect(await exec(guest, ['sh', '-c', 'echo "$NAME"; echo wrong >&2; exit 7'], { env: ['NAME=x  y'] })).toMatchObject({
        ...{ exitCode: 7, out: 'x  y\n', err: 'wrong\n' },
      })
      const bytes = Uint8Array.from({ length: 100_000 }, (_, at) => (at * 7 + (at >> 8)) & 255)
      const copied = await exec(guest, ['cat'], { input: bytes })
      expect(copied.exitCode).toBe(0)
      expect(Buffer.from(copied.outBytes).equals(Buffer.from(bytes)), 'as it went in').toBe(true)
      await expect(exec(guest, ['sleep', '1234'], { limitMs: 500 })).rejects.toMatchObject({ code: 'timeout' })
      expect(await sh(guest, 'until ! pidof sleep; do usleep 100000; done; ls /run/coppice-agent | wc -l')).toBe('1\n')

      await sh(guest, 'until [ -e /sys/class/net/eth0 ]; do usleep 100000; done; ip addr add 192.0.2.7/24 dev eth0')
      const found = await guest.engine.guestInterfaces({ machine })
      expect(found.find(({ name }) => name === 'eth0')).toMatchObject({
        mac: MAC,
        addresses: expect.arrayContaining(['192.0.2.7']) as string[],
      })
      expect(found.find(({ name }) => name === 'lo')?.addresses).toContain('127.0.0.1')

      expect(await guest.engine.freezeGuest({ machine })).toEqual({ fileSystems: 0 })
      await sh(guest, makeDisk)
      expect(await guest.engine.freezeGuest({ machine })).toEqual({ fileSystems: 1 })
      await writeHeldUp(guest, '/mnt/one')
      expect(await guest.engine.thawGuest({ machine })).toEqual({ fileSystems: 1 })
      await guest.expectSerial(/the file is written/)
      expect(await guest.engine.thawGuest({ machine })).toEqual({ fileSystems: 0 })

      // All or none: a file system that cannot be held leaves the others as they were.
      const vfat =
        'dd if=/dev/zero of=/run/fat bs=1k count=600 2> /dev/null; mkdosfs /run/fat; mkdir /run/at; mount -t vfat -o loop /run/fat /run/at'
      await sh(guest, `modprobe loop; ${vfat}`)
      await expect(guest.engine.freezeGuest({ machine })).rejects.toMatchObject({
        code: 'unsupported',
        message: expect.stringContaining('The file system at /run/at (vfat) cannot be frozen') as string,
      })
      expect(await sh(guest, 'echo more > /mnt/two; cat /mnt/two')).toBe('more\n')

      const from = guest.events.length
      await guest.run('kill -KILL $(pidof awk) $(pidof agent)')
      await agentEvent(guest, false, from)
      await expect(guest.engine.guestInterfaces({ machine })).rejects.toMatchObject({ code: 'unavailable' })
      await guest.engine.powerButton({ machine })
      expect(await guest.event((event) => event.kind === 'stopped')).toMatchObject({ reason: 'guest-poweroff' })
    })

    test(
      'sets the clock after the machine stood still, lets go what was held then, and shuts down without a button',
      { timeout: LIMIT },
      async () => {
        const made = await options()
        const guest = await withAgent(files, made)
        const { machine } = guest
        // Far off: no clock that runs on by itself comes near.
        await sh(guest, `${makeDisk}; date -s 2001-02-03 > /dev/null`)
        await guest.engine.freezeGuest({ machine })
        await writeHeldUp(guest, '/mnt/one')
        await guest.engine.pause({ machine })
        const memory = join(folder, 'memory')
        await guest.engine.saveMemory({ machine, path: memory })
        await guest.engine.powerOff({ machine })
        await guest.abandon()

        const disks = made.disks && { disk: new MemoryDisk(made.disks['disk']!.bytes) }
        const second = await Guest.start(files, { ...made, spec: { ...made.spec, id: machine }, ...(disks ? { disks } : {}), memory })
        guests.push(second)
        await agentEvent(second)
        // An earlier host had held it, and is gone.
        await second.expectSerial(/the file is written/)
        const near = async (): Promise<boolean> => {
          const asked = Date.now() / 1000
          const told = Number(await sh(second, 'date +%s'))
          return told >= asked - CLOCK_TOLERANCE && told <= Date.now() / 1000 + CLOCK_TOLERANCE
        }
        await expect.poll(near, { timeout: 30_000 }).toBe(true)

        // Nobody hears the button any more.
        await sh(second, 'kill -KILL $(pidof input-added) $(pidof dd); until ! pidof dd; do usleep 100000; done')
        await second.engine.powerButton({ machine })
        expect(await second.event((event) => event.kind === 'stopped')).toMatchObject({ reason: 'guest-poweroff' })
      },
    )
  })
})

describe.skipIf(!QEMU_PROGRAM)('a host that ends while it holds file systems still', () => {
  test('leaves them to the next, which lets them go', async () => {
    const files = await guestFiles('x86_64')
    const first = await withAgent(files, await BENCHES.qemu.options())
    await sh(first, 'until [ -b /dev/vda ]; do usleep 100000; done; mke2fs -q /dev/vda && mount -t ext4 /dev/vda /mnt')
    await first.engine.freezeGuest({ machine: first.machine })
    await writeHeldUp(first, '/mnt/one')
    await first.abandon()
    const second = await Guest.adopt(first.spec)
    guests.push(second)
    await second.expectSerial(/the file is written/)
    expect(await second.run('cat /mnt/one')).toBe('text')
  })
})
