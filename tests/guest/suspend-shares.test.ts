/** QEMU saves no memory of a guest that has a shared folder mounted: its agent unmounts it for that long, ours and Debian's own. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest'
import { QEMU_PROGRAM } from '../support/qemu-program.ts'
import { agentEvent, sh } from './support/agent-bench.ts'
import { guestFiles, type GuestFiles } from './support/appliance.ts'
import { Guest } from './support/guest.ts'
import { onQemu } from './support/on-qemu.ts'
import { withQemuGa } from './support/qemu-ga.ts'
import { memoryPlace } from '../support/memory-place.ts'

/** Options of its own, at a place with a space. */
const REMOUNT = `umount /mnt/work && mkdir "/srv/a b" && mount -t 9p -o trans=virtio,version=9p2000.L,noatime,nosuid work "/srv/a b"`

describe.each([
  { agent: 'the agent of Coppice Linux', prepare: (files: GuestFiles) => Promise.resolve(files) },
  { agent: 'qemu-guest-agent', prepare: withQemuGa },
])('suspending a guest on QEMU that has shared folders mounted, with $agent', ({ prepare }) => {
  describe.skipIf(!QEMU_PROGRAM)('in it', () => {
    let folder: string
    let files: GuestFiles
    let guest: Guest | null = null
    let missing: string | null = null
    /** What the guest has mounted, with all options. */
    let mounts = ''

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'coppice-guest-'))
      const prepared = await prepare(await guestFiles('i386'), folder)
      if ('missing' in prepared) {
        missing = prepared.missing
        return
      }
      files = prepared
      for (const name of ['docs', 'work']) await mkdir(join(folder, name))
      await writeFile(join(folder, 'docs', 'hello.txt'), 'Hello.\n')
      const sharedFolders = [
        { tag: 'docs', path: join(folder, 'docs'), readOnly: true },
        { tag: 'work', path: join(folder, 'work'), readOnly: false },
      ]
      guest = await Guest.boot(files, { spec: onQemu({ arch: 'i386', sharedFolders }) })
      await agentEvent(guest)
      await mounted(guest)
      await sh(guest, `mkdir /srv; ${REMOUNT}`)
      mounts = await mountLines(guest)
      expect(mounts.split('\n')).toEqual([
        expect.stringMatching(/^docs \/mnt\/docs 9p .*msize=512000/),
        expect.stringMatching(/^work \/srv\/a\\040b 9p .*nosuid.*noatime/),
        '',
      ])
    })
    afterAll(async () => {
      await guest?.close()
      await rm(folder, { recursive: true, force: true })
    })
    const running = ({ skip }: TestContext): Guest => guest ?? skip(`its packages cannot be had: ${missing}`)

    test('is refused while a program has a file open in one, with its name; everything stays as it was', async (context) => {
      const machine = running(context)
      await machine.run(
        'mkfifo /run/go; (exec 4< /mnt/docs/hello.txt; echo held > /run/held; read -r word < /run/go) & until [ -e /run/held ]; do sleep 0.2; done',
      )
      const refusal = await machine.engine.prepareSave({ machine: machine.machine }).catch((error: unknown) => error)
      expect(refusal).toMatchObject({
        code: 'busy',
        message: expect.stringMatching(/^The shared folder “docs” is in use in the guest by sh \(process \d+\)\. Close/) as string,
      })
      // The other one was unmounted before.
      expect(await mountLines(machine)).toBe(mounts)
      expect(await sh(machine, 'echo on > "/srv/a b/log"; cat /mnt/docs/hello.txt')).toBe('Hello.\n')
      expect(await readFile(join(folder, 'work', 'log'), 'utf8')).toBe('on\n')
      await machine.run('echo go > /run/go; wait')
    })

    test('saves its memory; what is written meanwhile fails; a machine that stays gets them back', async (context) => {
      const machine = running(context)
      const it = { machine: machine.machine }
      await machine.engine.prepareSave(it)
      expect(await mountLines(machine)).toBe('')
      expect(await sh(machine, 'echo lost 2> /dev/null > "/srv/a b/lost" || echo refused')).toBe('refused\n')
      await machine.engine.pause(it)
      expect(await machine.engine.saveMemory({ ...it, memory: memoryPlace(join(folder, 'memory')) })).toMatchObject({ engine: 'qemu' })
      await machine.engine.resume(it)
      await mounted(machine)
      expect(await mountLines(machine)).toBe(mounts)
    })

    test('gets them back where the host ended in between', async (context) => {
      const machine = running(context)
      await machine.engine.prepareSave({ machine: machine.machine })
      await machine.abandon()
      guest = await Guest.adopt(machine.spec)
      await agentEvent(guest)
      await mounted(guest)
      expect(await mountLines(guest)).toBe(mounts)
    })

    test('gets them back, as they are now, when it is resumed', async (context) => {
      const machine = running(context)
      const it = { machine: machine.machine }
      const memory = join(folder, 'memory')
      await machine.engine.prepareSave(it)
      await machine.engine.pause(it)
      await machine.engine.saveMemory({ ...it, memory: memoryPlace(memory) })
      await machine.engine.powerOff(it)
      await machine.abandon()
      await writeFile(join(folder, 'docs', 'hello.txt'), 'Hello again.\n')
      guest = await Guest.start(files, { spec: machine.spec, memory })
      await agentEvent(guest)
      await mounted(guest)
      expect(await mountLines(guest)).toBe(mounts)
      expect(await sh(guest, 'cat /mnt/docs/hello.txt; ls /run/coppice-shares* 2> /dev/null; true')).toBe('Hello again.\n')
    })
  })
})

/** Both are, whoever mounts them. */
async function mounted(guest: Guest): Promise<void> {
  await sh(guest, 'until [ "$(grep -c " 9p " /proc/mounts)" = 2 ]; do sleep 0.2; done')
}

function mountLines(guest: Guest): Promise<string> {
  return sh(guest, 'grep " 9p " /proc/mounts; true')
}
