/** Shared folders on both engines: what a guest reads, writes, and cannot reach. One guest of each engine goes through all of it. */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { MachineSpec } from '../../src-shared/model/machine-spec.ts'
import { mountCommand } from '../../src-shared/model/shared-folder.ts'
import { QEMU_PROGRAM, QEMU_VERSION } from '../support/qemu-program.ts'
import { qemuSpec } from '../support/qemu-spec.ts'
import { guestFiles, type GuestFiles } from './support/appliance.ts'
import { exec } from './support/exec.ts'
import { Guest, GUEST_LIMIT } from './support/guest.ts'
import { memoryPlace } from '../support/memory-place.ts'

const MiB = 1024 * 1024
const UNICODE = ['grün', '日本語 файл', '𝄞 clef', 'a  b\'c"d$e', '-dash', 'trailing ']
const MANY = Array.from({ length: 1000 }, (_, at) => `file-${String(at).padStart(4, '0')}`)

const EMBEDDED: Partial<MachineSpec> = {}
const QEMU: Partial<MachineSpec> = {
  ...{ engine: 'qemu', arch: 'x86_64', memoryMiB: 256, firmware: null },
  qemu: { ...qemuSpec().qemu!, binary: QEMU_PROGRAM ?? '', version: QEMU_VERSION ?? '', sandbox: process.platform === 'linux' },
}

describe.each([
  { name: 'the embedded engine', there: true, engine: EMBEDDED, embedded: true },
  { name: 'QEMU', there: QEMU_PROGRAM !== undefined, engine: QEMU, embedded: false },
])('shared folders on $name', ({ there, engine, embedded }) => {
  describe.skipIf(!there)('of Coppice Linux', () => {
    let files: GuestFiles
    let top: string
    let docs: string
    let work: string
    let guest: Guest
    let spec: Partial<MachineSpec>
    const big = randomBytes(8 * MiB)

    /** A shell command's output and errors. */
    const sh = async (command: string): Promise<string> => {
      const { out, err } = await exec(guest, ['sh', '-c', command])
      return (out + err).trimEnd()
    }
    const mounted = async (): Promise<void> => {
      await guest.event((event) => event.kind === 'agent' && event.present)
      await sh('until [ "$(grep -c " 9p " /proc/mounts)" = 3 ]; do sleep 0.2; done')
    }

    beforeAll(async () => {
      files = await guestFiles(embedded ? 'i386' : 'x86_64')
      top = await mkdtemp(join(tmpdir(), 'coppice-guest-'))
      docs = join(top, 'docs')
      work = join(top, 'work')
      for (const path of [docs, work, join(docs, 'many'), join(docs, 'names'), join(docs, 'sub'), join(top, 'outside')]) await mkdir(path)
      await writeFile(join(docs, 'hello.txt'), 'Hello from the host.\n')
      await writeFile(join(docs, 'big'), big)
      await Promise.all(MANY.map((name) => writeFile(join(docs, 'many', name), '')))
      for (const name of UNICODE) await writeFile(join(docs, 'names', name), `I am ${name}`)
      await writeFile(join(top, 'outside', 'secret'), 'SECRET')
      await symlink('/etc/passwd', join(docs, 'passwd'))
      await symlink('../outside/secret', join(docs, 'secret'))
      await symlink('../outside', join(docs, 'way-out'))
      await symlink('hello.txt', join(docs, 'inside'))
      await symlink('../outside', join(work, 'way-out'))
      const folders = [
        { tag: 'docs', path: docs, readOnly: true },
        { tag: 'work', path: work, readOnly: false },
        // A tag as long as they come.
        { tag: 'tag-of-31-characters.0123456789', path: join(docs, 'sub'), readOnly: true },
      ]
      spec = { ...engine, sharedFolders: folders }
      guest = await Guest.boot(files, { spec })
      await mounted()
    })
    afterAll(async () => {
      await guest?.close()
      await rm(top, { recursive: true, force: true })
    })

    test('are mounted by their tags, and everything in them is read as it is', async () => {
      expect(await sh('cat /mnt/docs/hello.txt')).toBe('Hello from the host.')
      expect(await sh('sha256sum < /mnt/docs/big')).toContain(createHash('sha256').update(big).digest('hex'))
      expect(await sh('dd if=/mnt/docs/big bs=1000 skip=1234 count=3 2> /dev/null | sha256sum')).toContain(
        createHash('sha256').update(big.subarray(1_234_000, 1_237_000)).digest('hex'),
      )
      expect((await sh('ls /mnt/docs/many')).split('\n')).toEqual(MANY)
      expect(await sh('ls -a /mnt/docs/many | head -2')).toBe('.\n..')
      expect((await sh('cd /mnt/docs/names; for name in *; do cat -- "$name"; echo; done')).split('\n').sort()).toEqual(
        UNICODE.map((name) => `I am ${name}`).sort(),
      )
      expect(await sh('df -m /mnt/docs | tail -1')).toMatch(/\s\d+\s/)
    })

    test('show what changes on this computer', async () => {
      await writeFile(join(docs, 'hello.txt'), 'Another text.\n')
      expect(await sh('cat /mnt/docs/hello.txt')).toBe('Another text.')
      await rename(join(docs, 'hello.txt'), join(docs, 'sub', 'moved.txt'))
      expect(await sh('cat /mnt/docs/sub/moved.txt; [ -e /mnt/docs/hello.txt ] || echo gone')).toBe('Another text.\ngone')
      await rename(join(docs, 'sub', 'moved.txt'), join(docs, 'hello.txt'))
    })

    test('take no change where they are read-only', async () => {
      const before = await readdir(docs)
      for (const change of [
        ...['echo x > new', 'echo x >> hello.txt', 'rm hello.txt', 'mv hello.txt other', 'mkdir folder', 'rmdir sub', 'ln -s x link'],
        ...['ln hello.txt again', 'chmod 600 hello.txt', 'touch hello.txt', 'mknod pipe p', 'truncate -s 0 hello.txt'],
      ])
        expect(await sh(`cd /mnt/docs && ${change}`), change).toContain('Read-only file system')
      // Nor where the guest mounts it as it likes.
      expect(await sh('mount -o remount,rw /mnt/docs; echo x > /mnt/docs/new')).toContain('Read-only file system')
      expect(await readdir(docs)).toEqual(before)
      expect(await readFile(join(docs, 'hello.txt'), 'utf8')).toBe('Another text.\n')
    })

    test('take changes where they are writable', async () => {
      expect(await sh('cd /mnt/work && echo one > a && echo two >> a && mkdir -p d/e && mv a d/e/b && cat d/e/b')).toBe('one\ntwo')
      expect(await readFile(join(work, 'd', 'e', 'b'), 'utf8')).toBe('one\ntwo\n')
      expect(await sh('cd /mnt/work && cp /mnt/docs/big copy && sync && sha256sum < copy')).toContain(
        createHash('sha256').update(big).digest('hex'),
      )
      expect((await readFile(join(work, 'copy'))).equals(big)).toBe(true)
      expect(await sh('cd /mnt/work && truncate -s 5 copy && ls -l copy | tr -s " " | cut -d " " -f 5; rm copy; printf "%s\\n" *')).toBe(
        '5\nd\nway-out',
      )
      expect(await sh('cd /mnt/work && chmod 640 d/e/b && stat -c %a d/e/b; touch -d @1000000000 d/e/b; stat -c %Y d/e/b')).toBe(
        '640\n1000000000',
      )
      expect(await sh('cd /mnt/work && ln d/e/b second && cat second && rm second')).toBe('one\ntwo')
      expect(await sh('cd /mnt/work && exec 3> held && echo early >&3 && rm held && echo late >&3 && exec 3>&- && echo written')).toBe(
        'written',
      )
      expect(await sh('cd /mnt/work && for name in "grün" "日本語 файл"; do echo x > "$name"; done; rm -r d; printf "%s\\n" *')).toBe(
        'grün\nway-out\n日本語 файл',
      )
      expect((await readdir(work)).sort()).toEqual(['grün', 'way-out', '日本語 файл'])
      expect(await sh('rmdir /mnt/work/none; mkdir /mnt/work/x /mnt/work/x; rmdir /mnt/work/x')).toMatch(/No such file[^]*File exists/)
    })

    test('never reach outside: links are the guest’s own, and “..” ends at the top', async () => {
      // A link means what it says in the guest's own tree.
      expect(await sh('readlink /mnt/docs/passwd; grep -c ^ /mnt/docs/passwd')).toBe(`/etc/passwd\n${await sh('grep -c ^ /etc/passwd')}`)
      expect(await sh('cat /mnt/docs/inside')).toBe('Another text.')
      expect(await sh('cat /mnt/docs/secret /mnt/docs/way-out/secret /mnt/work/way-out/secret')).not.toContain('SECRET')
      expect(await sh('echo x > /mnt/work/way-out/new; mkdir /mnt/work/way-out/folder')).toMatch(
        /No such file|Too many levels of symbolic links/,
      )
      expect(await sh('cd /mnt/docs/sub/../../../../..; pwd; ls -d /mnt/docs/../../outside')).toMatch(/^\/\n.*No such file/)
      expect(await readdir(join(top, 'outside'))).toEqual(['secret'])
      // What the guest makes is no link for this computer, where it can make one at all.
      await sh('ln -s /etc /mnt/work/made')
      const made = await readFile(join(work, 'made'), 'utf8').catch((error: NodeJS.ErrnoException) => error.code)
      expect(made).toBe(embedded ? 'ENOENT' : '/etc')
      await rm(join(work, 'made'), { force: true })
      await sh('mknod /mnt/work/device b 8 0; mknod /mnt/work/pipe p')
      for (const name of ['device', 'pipe'])
        if (existsSync(join(work, name))) expect((await stat(join(work, name))).isFile(), name).toBe(true)
    })

    test(
      'go on after the guest’s restart',
      async () => {
        const from = guest.events.length
        await guest.type('reboot\n')
        await guest.event((event) => event.kind === 'rebooted', from)
        await guest.event((event) => event.kind === 'agent' && event.present, from)
        await mounted()
        expect(await sh('cat /mnt/docs/hello.txt')).toBe('Another text.')
      },
      3 * GUEST_LIMIT,
    )

    test.runIf(embedded)('go on after suspend and resume, with files that were open', async () => {
      await sh(
        'echo before > /mnt/work/log; (exec 3>> /mnt/work/log 4< /mnt/docs/hello.txt; read -r n < /tmp/go; echo after >&3; cat <&4 >&3) > /dev/null 2>&1 & mkfifo /tmp/go; sleep 1',
      )
      const { engine, machine, spec } = guest
      await engine.pause({ machine })
      const memory = join(top, 'memory')
      await engine.saveMemory({ machine, memory: memoryPlace(memory) })
      await guest.close()
      guest = await Guest.start(files, { spec, memory })
      await guest.run('echo go > /tmp/go; until grep -q Another /mnt/work/log; do sleep 0.2; done')
      expect(await readFile(join(work, 'log'), 'utf8')).toBe('before\nafter\nAnother text.\n')
    })

    test.runIf(!embedded)('keep the guest from being suspended while it has them mounted, with the reason', async () => {
      const { engine, machine } = guest
      await engine.pause({ machine })
      const memory = join(top, 'memory')
      await expect(engine.saveMemory({ machine, memory: memoryPlace(memory) })).rejects.toMatchObject({
        code: 'wrong-state',
        message: expect.stringMatching(/shared folder.*mounted.*umount/),
      })
      await engine.resume({ machine })
      await sh('umount /mnt/*')
      await engine.pause({ machine })
      expect(await engine.saveMemory({ machine, memory: memoryPlace(memory) })).toMatchObject({ engine: 'qemu' })
      await engine.resume({ machine })
      expect(await sh(`${mountCommand('docs')} && cat /mnt/docs/hello.txt`)).toBe('Another text.')
    })
  })
})
