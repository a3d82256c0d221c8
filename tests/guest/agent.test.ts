/** The agent of Coppice Linux on both engines: what the host asks of a guest. */
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { tempFolder } from '../support/temp-folder.ts'
import {
  agentEvent,
  BENCHES,
  expectAddress,
  expectClockSet,
  expectShutDownWithoutButton,
  expectWritten,
  sh,
  writeHeldUp,
} from './support/agent-bench.ts'
import { guestFiles, type GuestFiles } from './support/appliance.ts'
import { exec } from './support/exec.ts'
import { Guest, type GuestOptions } from './support/guest.ts'
import { MemoryDisk } from './support/memory-disk.ts'
import { memoryPlace } from '../support/memory-place.ts'

/** ms for a test: two boots of an emulated computer, on one that may be busy. */
const LIMIT = 300_000

const guests: Guest[] = []
let folder: string
beforeEach(async () => {
  folder = await tempFolder()
})
afterEach(async () => {
  for (const guest of guests.splice(0)) await guest.close()
})

/** Booted, and its agent has answered. */
async function withAgent(files: GuestFiles, options: GuestOptions): Promise<Guest> {
  const guest = await Guest.boot(files, options)
  guests.push(guest)
  await agentEvent(guest)
  return guest
}

describe.each(Object.entries(BENCHES))('the agent of Coppice Linux: %s', (_, { arch, there, mountDisk, options }) => {
  describe.skipIf(!there)('in a guest', () => {
    let files: GuestFiles
    beforeAll(async () => {
      files = await guestFiles(arch)
    })

    test('runs commands, tells addresses, holds file systems still, and is not needed to shut down', { timeout: LIMIT }, async () => {
      const guest = await withAgent(files, await options(folder))
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

      await expectAddress(guest)

      expect(await guest.engine.freezeGuest({ machine })).toEqual({ fileSystems: 0 })
      await sh(guest, mountDisk)
      expect(await guest.engine.freezeGuest({ machine })).toEqual({ fileSystems: 1 })
      await writeHeldUp(guest, '/mnt/one')
      expect(await guest.engine.thawGuest({ machine })).toEqual({ fileSystems: 1 })
      await expectWritten(guest)
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
        const made = await options(folder)
        const guest = await withAgent(files, made)
        const { machine } = guest
        // Far off: no clock that runs on by itself comes near.
        await sh(guest, `${mountDisk}; date -s 2001-02-03 > /dev/null`)
        await guest.engine.freezeGuest({ machine })
        await writeHeldUp(guest, '/mnt/one')
        await guest.engine.pause({ machine })
        const memory = join(folder, 'memory')
        await guest.engine.saveMemory({ machine, memory: memoryPlace(memory) })
        await guest.engine.powerOff({ machine })
        await guest.abandon()

        const disks = made.disks && { disk: new MemoryDisk(made.disks['disk']!.bytes) }
        const second = await Guest.start(files, { ...made, spec: { ...made.spec, id: machine }, ...(disks ? { disks } : {}), memory })
        guests.push(second)
        await agentEvent(second)
        // An earlier host had held it, and is gone.
        await expectWritten(second)
        await expectClockSet(second)
        await expectShutDownWithoutButton(second)
      },
    )
  })
})

describe.skipIf(!BENCHES.qemu.there)('a host that ends while it holds file systems still', () => {
  test('leaves them to the next, which lets them go', async () => {
    const files = await guestFiles('x86_64')
    const first = await withAgent(files, await BENCHES.qemu.options(folder))
    await sh(first, BENCHES.qemu.mountDisk)
    await first.engine.freezeGuest({ machine: first.machine })
    await writeHeldUp(first, '/mnt/one')
    await first.abandon()
    const second = await Guest.adopt(first.spec)
    guests.push(second)
    await expectWritten(second)
    expect(await second.run('cat /mnt/one')).toBe('text')
  })
})
