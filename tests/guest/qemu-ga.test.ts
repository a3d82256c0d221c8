/** Debian's own guest agent, unmodified: what other systems run works as Coppice Linux's agent does. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest'
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
import { guestFiles } from './support/appliance.ts'
import { exec } from './support/exec.ts'
import { Guest } from './support/guest.ts'
import { withQemuGa } from './support/qemu-ga.ts'

describe.each(Object.entries(BENCHES))('qemu-guest-agent: %s', (_, { arch, there, mountDisk, options }) => {
  describe.skipIf(!there)('in a guest', () => {
    let folder: string
    let guest: Guest | null = null
    let missing: string | null = null

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'coppice-guest-'))
      const files = await withQemuGa(await guestFiles(arch), folder)
      if ('missing' in files) {
        missing = files.missing
        return
      }
      guest = await Guest.boot(files, await options(folder))
      await agentEvent(guest)
    })
    afterAll(async () => {
      await guest?.close()
      await rm(folder, { recursive: true, force: true })
    })
    const running = ({ skip }: TestContext): Guest => guest ?? skip(`its packages cannot be had: ${missing}`)

    test('runs programs: exit codes, signals, input, both outputs, and kills one whose time is over', async (context) => {
      const machine = running(context)
      expect(await sh(machine, 'pidof qemu-ga > /dev/null && uname -s')).toBe('Linux\n')
      const both = await exec(machine, ['/bin/sh', '-c', 'echo out; echo wrong >&2; exit 7'])
      expect(both).toMatchObject({ exitCode: 7, signal: null, out: 'out\n', err: 'wrong\n' })
      expect(await exec(machine, ['/bin/sh', '-c', 'kill -TERM $$'])).toMatchObject({ exitCode: null, signal: 15 })
      expect(await exec(machine, ['/bin/sh', '-c', 'echo "$WORD"'], { env: ['WORD=a  b'] })).toMatchObject({ exitCode: 0, out: 'a  b\n' })
      const bytes = Uint8Array.from({ length: 300_000 }, (__, at) => (at * 7 + (at >> 8)) & 255)
      const copied = await exec(machine, ['/bin/cat'], { input: bytes })
      expect(Buffer.from(copied.outBytes).equals(Buffer.from(bytes)), 'as it went in').toBe(true)
      await expect(exec(machine, ['/no/such/program'])).rejects.toMatchObject({
        code: 'unsupported',
        message: expect.stringContaining('No such file or directory') as string,
      })
      await expect(exec(machine, ['/bin/sleep', '1234'], { limitMs: 500 })).rejects.toMatchObject({ code: 'timeout' })
      await sh(machine, 'until ! pidof sleep > /dev/null; do usleep 100000; done')
    })

    test('tells addresses', async (context) => {
      await expectAddress(running(context))
    })

    test('holds file systems still until they are let go', async (context) => {
      const machine = running(context)
      const { engine } = machine
      const it = { machine: machine.machine }
      expect(await engine.freezeGuest(it)).toEqual({ fileSystems: 0 })
      expect(await engine.thawGuest(it)).toEqual({ fileSystems: 0 })
      await sh(machine, mountDisk)
      expect(await engine.freezeGuest(it)).toEqual({ fileSystems: 1 })
      await writeHeldUp(machine, '/mnt/one')
      // It does nothing else meanwhile, and says so.
      await expect(exec(machine, ['/bin/true'])).rejects.toMatchObject({ code: 'unsupported' })
      expect(await engine.thawGuest(it)).toEqual({ fileSystems: 1 })
      await expectWritten(machine)
    })

    test('sets the clock after the machine stood still', async (context) => {
      const machine = running(context)
      const it = { machine: machine.machine }
      await sh(machine, 'date -s 2001-02-03 > /dev/null')
      await machine.engine.pause(it)
      await machine.engine.resume(it)
      await expectClockSet(machine)
    })

    test('shuts the guest down without a button', async (context) => {
      await expectShutDownWithoutButton(running(context))
    })
  })
})
