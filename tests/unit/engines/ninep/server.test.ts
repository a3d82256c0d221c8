/** The server over real folders: by each of the two ways to name their files, which must not differ in what a guest sees. */
import { execFileSync } from 'node:child_process'
import { lstat, mkdir, readdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { ERRNO } from '../../../../src-main/engines/ninep/errno.ts'
import { MAX_FIDS, MAX_OPEN } from '../../../../src-main/engines/ninep/fids.ts'
import { openHostFolder } from '../../../../src-main/engines/ninep/host-folder.ts'
import { MAX_MESSAGE, NinepServer } from '../../../../src-main/engines/ninep/server.ts'
import { errnoFrom, message, NinepClient, u16, u32, u64, u8, type Field } from '../../../support/ninep-client.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const READ = 0
const WRITE = 1
const READ_WRITE = 2
const TRUNCATE = 0o1000
const APPEND = 0o2000

const WAYS = [
  { way: 'by pinned places (Linux)', platform: 'linux' as const },
  { way: 'by checked paths (elsewhere)', platform: 'darwin' as const },
].filter(({ platform }) => platform !== 'linux' || process.platform === 'linux')

describe.each(WAYS)('a shared folder $way', ({ platform }) => {
  let top: string
  let share: string
  let guest: NinepClient
  const attach = async (readOnly: boolean): Promise<NinepClient> => {
    const client = await NinepClient.attach(await openHostFolder(share, platform), readOnly)
    onTestFinished(() => client.server.close())
    return client
  }

  beforeEach(async () => {
    top = await tempFolder()
    share = join(top, 'share')
    await mkdir(join(share, 'sub', 'deep'), { recursive: true })
    await mkdir(join(top, 'outside'))
    await writeFile(join(top, 'outside', 'secret'), 'SECRET')
    await writeFile(join(share, 'file'), 'contents')
    await writeFile(join(share, 'sub', 'deep', 'leaf'), 'leaf')
    await symlink('/etc/passwd', join(share, 'passwd'))
    await symlink('../outside', join(share, 'way-out'))
    await symlink('sub', join(share, 'way-in'))
    guest = await NinepClient.attach(await openHostFolder(share, platform))
  })
  afterEach(() => guest.server.close())

  test('files are read, written and made, with the guest’s root as their owner and no set-id bits', async () => {
    expect(await guest.text('file')).toBe('contents')
    expect(await guest.text('sub', 'deep', 'leaf')).toBe('leaf')
    expect((await guest.read(await guest.open(READ, 'file'), 4, 100)).toString()).toBe('ents')
    expect((await guest.read(await guest.open(READ, 'file'), 8, 100)).length).toBe(0)
    const file = await guest.create('new', 'sub')
    expect(await guest.write(file, 3, Buffer.from('abc'))).toBe(3)
    expect(await readFile(join(share, 'sub', 'new'))).toEqual(Buffer.from('\0\0\0abc'))
    expect((await stat(join(share, 'sub', 'new'))).mode & 0o7000).toBe(0)
    expect(await guest.attributes(file)).toMatchObject({ uid: 0, bytes: 6 })
    await guest.write(await guest.open(WRITE | APPEND, 'file'), 0, Buffer.from('!'))
    expect(await guest.text('file')).toBe('contents!')
    await guest.open(WRITE | TRUNCATE, 'file')
    expect(await guest.text('file')).toBe('')
  })

  test('folders are listed from any place in them, and entries that do not fit wait for the next request', async () => {
    await mkdir(join(share, 'many'))
    const names = Array.from({ length: 300 }, (_, at) => `name-${at}`)
    for (const name of names) await writeFile(join(share, 'many', name), '')
    const folder = await guest.open(READ, 'many')
    const seen: string[] = []
    let offset = 0
    for (;;) {
      const some = await guest.entries(folder, offset, 500)
      if (some.length === 0) break
      seen.push(...some.map(({ name }) => name))
      offset = some.at(-1)!.offset
    }
    expect(seen.slice(0, 2)).toEqual(['.', '..'])
    expect(seen.slice(2).sort()).toEqual(names.sort())
    const again = await guest.entries(folder, 100, 200)
    expect(again.map(({ name }) => name)).toEqual(seen.slice(100, 100 + again.length))
    const top = await guest.entries(await guest.open(READ), 0, 4000)
    expect(top.map(({ name, type }) => [name, type]).sort()).toEqual(
      [
        ['.', 4],
        ['..', 4],
        ['file', 8],
        ['many', 4],
        ['passwd', 10],
        ['sub', 4],
        ['way-in', 10],
        ['way-out', 10],
      ].sort(),
    )
  })

  test('links are shown as links and followed by nobody', async () => {
    const link = await guest.walk('passwd')
    expect((await guest.attributes(link)).mode & 0o170000).toBe(0o120000)
    const answer = await guest.ask(22, u32(link))
    expect(Buffer.from(answer.buffer, answer.byteOffset + 2, answer.getUint16(0, true)).toString()).toBe('/etc/passwd')
    for (const flags of [READ, WRITE, READ_WRITE, WRITE | TRUNCATE]) expect(await errnoFrom(guest.open(flags, 'passwd'))).toBe(ERRNO.ELOOP)
    for (const way of ['way-out', 'way-in']) {
      expect(await errnoFrom(guest.walk(way, 'secret')), way).toBe(ERRNO.ENOENT)
      const folder = await guest.walk(way)
      expect(await errnoFrom(guest.ask(12, u32(folder), u32(READ))), way).toBe(ERRNO.ELOOP)
      for (const [name, request] of changesIn(folder)) expect(await errnoFrom(guest.ask(...request)), `${name} in ${way}`).not.toBeNull()
    }
    expect(await readdir(join(top, 'outside'))).toEqual(['secret'])
    // Its permissions and times are the link's, or nobody's.
    const { mode, mtimeMs } = await stat('/etc/passwd')
    await errnoFrom(guest.ask(26, u32(link), u32(1 | 32), u32(0o777), u32(0), u32(0), u64(0), u64(0), u64(0), u64(0), u64(0)))
    expect(await errnoFrom(guest.ask(26, u32(link), u32(8), u32(0), u32(0), u32(0), u64(0), u64(0), u64(0), u64(0), u64(0)))).toBe(
      ERRNO.ELOOP,
    )
    expect(await stat('/etc/passwd')).toMatchObject({ mode, mtimeMs })
    // Making one is nobody's, either.
    expect(await errnoFrom(guest.ask(16, u32(0), 'made', '/etc/passwd', u32(0)))).toBe(ERRNO.EPERM)
    expect(await errnoFrom(guest.ask(70, u32(0), u32(link), 'hard'))).toBe(ERRNO.EPERM)
    // It can be renamed and removed, as itself.
    await guest.ask(74, u32(0), 'passwd', u32(0), 'renamed')
    expect(await readlink(join(share, 'renamed'))).toBe('/etc/passwd')
    await guest.ask(76, u32(0), 'renamed', u32(0))
    await expect(lstat(join(share, 'renamed'))).rejects.toThrow('ENOENT')
  })

  test('“..” leads no further than the top, and names with it in them are none', async () => {
    const up = await guest.walk('..', '..', '..', 'sub', '..', '..')
    await guest.ask(12, u32(up), u32(READ))
    expect((await guest.entries(up, 0, 4000)).map(({ name }) => name)).toContain('way-out')
    for (const name of ['../outside', '..\0', 'sub/../..', '/etc/passwd', '/', '', '.'])
      expect(await errnoFrom(guest.walk(name)), name).toBe(ERRNO.EINVAL)
    for (const name of ['..', '.', '', '../x', 'a/b', 'a\0b'])
      for (const [what, request] of changesIn(0, name)) expect(await errnoFrom(guest.ask(...request)), `${what} ${name}`).toBe(ERRNO.EINVAL)
    expect(await errnoFrom(guest.walk('x'.repeat(256)))).toBe(ERRNO.ENAMETOOLONG)
    expect(await errnoFrom(guest.walk('sub', '..', 'none'))).toBe(ERRNO.ENOENT)
    expect((await readdir(top)).sort()).toEqual(['outside', 'share'])
  })

  test('a folder that becomes a link to outside under a guest’s hands leads nowhere', async () => {
    const folder = await guest.walk('sub', 'deep')
    const file = await guest.walk('sub', 'deep', 'leaf')
    await rename(join(share, 'sub'), join(top, 'elsewhere'))
    await mkdir(join(top, 'outside', 'deep'))
    await writeFile(join(top, 'outside', 'deep', 'leaf'), 'SECRET')
    await symlink('../outside', join(share, 'sub'))
    expect(await errnoFrom(guest.ask(12, u32(file), u32(READ)))).toBe(ERRNO.ENOTDIR)
    expect(await errnoFrom(guest.ask(12, u32(folder), u32(READ)))).toBe(ERRNO.ENOTDIR)
    for (const [name, request] of changesIn(folder)) expect(await errnoFrom(guest.ask(...request)), name).not.toBeNull()
    expect(await readdir(join(top, 'outside', 'deep'))).toEqual(['leaf'])
  })

  test('pipes, sockets and devices are shown, and opened by nobody', async () => {
    execFileSync('mkfifo', [join(share, 'pipe')])
    const server = createServer().listen(join(share, 'socket'))
    onTestFinished(() => void server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    for (const name of ['pipe', 'socket']) {
      for (const flags of [READ, WRITE, READ_WRITE]) expect(await errnoFrom(guest.open(flags, name)), name).toBe(ERRNO.EACCES)
      expect((await guest.attributes(await guest.walk(name))).rdev).toBe(0n)
      await guest.ask(76, u32(0), name, u32(0))
    }
    for (const type of [0o020000, 0o060000, 0o010000, 0o140000])
      expect(await errnoFrom(guest.ask(18, u32(0), 'device', u32(type | 0o666), u32(8), u32(0), u32(0)))).toBe(ERRNO.EPERM)
    await guest.ask(18, u32(0), 'plain', u32(0o106644), u32(0), u32(0), u32(0))
    expect((await stat(join(share, 'plain'))).mode & 0o177000).toBe(0o100000)
  })

  test('where it is read-only, nothing is changed, whatever is asked', async () => {
    const reader = await attach(true)
    const file = await reader.walk('file')
    const opened = await reader.open(READ, 'file')
    for (const flags of [WRITE, READ_WRITE, READ | TRUNCATE])
      expect(await errnoFrom(reader.ask(12, u32(file), u32(flags)))).toBe(ERRNO.EROFS)
    for (const [name, request] of [...changesIn(0), ...changesOf(file), ...changesOf(opened)])
      expect(await errnoFrom(reader.ask(...request)), name).toBe(ERRNO.EROFS)
    expect(await reader.text('file')).toBe('contents')
    expect((await readdir(share)).sort()).toEqual(['file', 'passwd', 'sub', 'way-in', 'way-out'])
  })

  test('files are renamed with all below them, linked, removed, and changed', async () => {
    const leaf = await guest.walk('sub', 'deep', 'leaf')
    await guest.ask(74, u32(0), 'sub', u32(0), 'moved')
    expect((await guest.attributes(leaf)).bytes).toBe(4)
    await guest.ask(20, u32(leaf), u32(0), 'top')
    expect(await readFile(join(share, 'top'), 'utf8')).toBe('leaf')
    await guest.ask(70, u32(0), u32(leaf), 'twice')
    expect((await stat(join(share, 'twice'))).ino).toBe((await stat(join(share, 'top'))).ino)
    const set = (valid: number, mode: number, size: number, seconds: number): Field[] => [
      ...[u32(leaf), u32(valid), u32(mode), u32(0), u32(0), u64(size)],
      ...[u64(seconds), u64(0), u64(seconds), u64(0)],
    ]
    await guest.ask(26, ...set(1 | 8 | 16 | 32 | 128 | 256, 0o4711, 2, 1_000_000_000))
    expect(await stat(join(share, 'top'))).toMatchObject({ size: 2, mode: 0o100711, mtimeMs: 1e12, atimeMs: 1e12 })
    expect(await errnoFrom(guest.ask(26, u32(leaf), u32(2), u32(0), u32(1000), u32(0), u64(0), u64(0), u64(0), u64(0), u64(0)))).toBe(
      ERRNO.EPERM,
    )
    expect(await errnoFrom(guest.ask(76, u32(0), 'moved', u32(0x200)))).toBe(ERRNO.ENOTEMPTY)
    await guest.ask(122, u32(leaf))
    expect(await errnoFrom(guest.attributes(leaf))).toBe(ERRNO.EBADF)
    expect((await readdir(share)).sort()).toEqual(['file', 'moved', 'passwd', 'twice', 'way-in', 'way-out'])
    await guest.ask(72, u32(0), 'made', u32(0o7777), u32(0))
    expect((await stat(join(share, 'made'))).mode & 0o7000).toBe(0)
    for (const request of [74, 20])
      expect(await errnoFrom(guest.ask(request, ...(request === 20 ? [u32(0), u32(0), 'x'] : [u32(0), '..', u32(0), 'x'])))).not.toBeNull()
  })

  test('what a memory state keeps stands for the same files after it', async () => {
    const reading = await guest.open(READ, 'file')
    const appending = await guest.open(WRITE | APPEND, 'sub', 'deep', 'leaf')
    const gone = await guest.open(READ, 'way-in').catch(() => guest.create('gone'))
    const folder = await guest.open(READ, 'sub')
    const saved: unknown = JSON.parse(JSON.stringify(guest.server.save()))
    await guest.server.close()
    await rm(join(share, 'gone'))
    const later = await attach(false)
    await later.server.reset()
    later.server.load(saved)
    expect((await later.read(reading, 0, 100)).toString()).toBe('contents')
    await later.write(appending, 0, Buffer.from('!'))
    expect(await readFile(join(share, 'sub', 'deep', 'leaf'), 'utf8')).toBe('leaf!')
    expect(await errnoFrom(later.read(gone, 0, 100))).toBe(ERRNO.ESTALE)
    expect((await later.entries(folder, 2, 4000)).map(({ name }) => name)).toEqual(['deep'])
    const outside = { msize: 8192, fids: [{ fid: 1, path: ['..', 'outside', 'secret'], open: null }] }
    expect(() => new NinepServer({} as never, { readOnly: false }).load(outside)).toThrow()
  })

  test.runIf(process.platform === 'linux')(
    'ended in the middle of things, it answers all that was asked and leaves nothing open',
    async () => {
      const folder = await guest.open(READ)
      const file = await guest.open(READ, 'sub', 'deep', 'leaf')
      const under: Promise<unknown>[] = []
      for (let at = 0; at < 50; at++) {
        const requests = [
          message(110, 1, u32(0), u32(1000 + at), u16(3), 'sub', 'deep', 'leaf'),
          message(40, 2, u32(folder), u64(0), u32(4000)),
          message(116, 3, u32(file), u64(0), u32(10)),
          message(12, 4, u32(1000 + at), u32(READ)),
          message(120, 5, u32(at % 2 ? folder : file)),
        ]
        for (const request of requests) under.push(guest.server.handle(request))
      }
      await guest.server.close()
      await Promise.all(under)
      expect(await openBelow(top)).toEqual([])
      expect(await errnoFrom(guest.walk('sub'))).toBe(ERRNO.EIO)
    },
  )

  test('any bytes are answered, in a running session as before it, and leave everything outside as it was', async () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(
          fc.constantFrom(
            8,
            12,
            14,
            16,
            18,
            20,
            22,
            24,
            26,
            30,
            32,
            40,
            50,
            52,
            54,
            70,
            72,
            74,
            76,
            102,
            104,
            108,
            110,
            116,
            118,
            120,
            122,
          ),
          fields(),
        )
        .map(([type, body]) => message(type, 1, ...body)),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(noise, { minLength: 1, maxLength: 20 }), async (requests) => {
        const replies = await Promise.all(requests.map((request) => guest.server.handle(request)))
        for (const reply of replies) {
          expect(reply.length).toBe(new DataView(reply.buffer, reply.byteOffset).getUint32(0, true))
          expect(reply.length).toBeLessThanOrEqual(MAX_MESSAGE)
        }
      }),
      { numRuns: 150 },
    )
    expect(await readFile(join(top, 'outside', 'secret'), 'utf8')).toBe('SECRET')
    expect((await readdir(top)).sort()).toEqual(['outside', 'share'])
    // Nothing stays open, and it still works.
    await guest.server.reset()
    if (process.platform === 'linux') expect((await openBelow(top)).length).toBeLessThanOrEqual(1)
    await guest.ask(100, u32(8192), '9P2000.L')
    await guest.ask(104, u32(0), u32(0xffffffff), '', '', u32(0))
    expect((await guest.attributes(0)).mode & 0o170000).toBe(0o040000)
  })
})

describe('limits', () => {
  let guest: NinepClient
  let share: string
  beforeEach(async () => {
    share = await tempFolder()
    await writeFile(join(share, 'file'), 'x'.repeat(100_000))
    guest = await NinepClient.attach(await openHostFolder(share))
  })
  afterEach(() => guest.server.close())

  test('of open files, and closing makes room', async () => {
    const first = await guest.open(READ, 'file')
    for (let count = 1; count < MAX_OPEN; count++) await guest.open(READ, 'file')
    const more = await guest.walk('file')
    expect(await errnoFrom(guest.ask(12, u32(more), u32(READ)))).toBe(ERRNO.EMFILE)
    await guest.ask(120, u32(first))
    await guest.ask(12, u32(more), u32(READ))
    expect(await errnoFrom(guest.ask(12, u32(more), u32(READ)))).toBe(ERRNO.EBUSY)
  })

  test('of fids, and of a path', async () => {
    for (let count = 1; count < MAX_FIDS; count++) await guest.walk()
    expect(await errnoFrom(guest.walk())).toBe(ERRNO.ENFILE)
    await guest.ask(100, u32(8192), '9P2000.L')
    await guest.ask(104, u32(0), u32(0xffffffff), '', '', u32(0))
    const name = 'n'.repeat(255)
    let refused: number | null = null
    for (let depth = 0; refused === null && depth < 20; depth++) {
      refused = await errnoFrom(guest.ask(72, u32(0), name, u32(0o755), u32(0)))
      if (refused === null) await guest.ask(110, u32(0), u32(0), u16(1), name)
    }
    expect(refused).toBe(ERRNO.ENAMETOOLONG)
  })

  test('of a message: what is agreed upon is kept to', async () => {
    expect((await guest.ask(100, u32(2 ** 31), '9P2000.L')).getUint32(0, true)).toBe(MAX_MESSAGE)
    expect((await guest.ask(100, u32(8192), '9P2000.L')).getUint32(0, true)).toBe(8192)
    await guest.ask(104, u32(0), u32(0xffffffff), '', '', u32(0))
    const file = await guest.open(READ, 'file')
    expect((await guest.read(file, 0, 2 ** 32 - 1)).length).toBe(8192 - 11)
    for (const [msize, version] of [
      [100, '9P2000.L'],
      [8192, '9P2000'],
    ] as const) {
      const answer = await guest.ask(100, u32(msize), version)
      expect(Buffer.from(answer.buffer, answer.byteOffset + 6, answer.getUint16(4, true)).toString()).toBe('unknown')
      expect(await errnoFrom(guest.ask(104, u32(0), u32(0xffffffff), '', '', u32(0)))).toBe(ERRNO.EIO)
    }
  })

  test('a flush is answered after what it flushes', async () => {
    const order: string[] = []
    const file = await guest.open(READ, 'file')
    await Promise.all([
      guest.server.handle(message(116, 500, u32(file), u64(0), u32(4096))).then(() => order.push('read')),
      guest.server.handle(message(108, 501, u16(500))).then(() => order.push('flush')),
      guest.server.handle(message(108, 502, u16(502))).then(() => order.push('itself')),
    ])
    expect(order.indexOf('read')).toBeLessThan(order.indexOf('flush'))
    expect(order).toContain('itself')
  })
})

/** Files and folders below a folder that this process has open, by their paths. */
async function openBelow(folder: string): Promise<string[]> {
  const numbers = await readdir('/proc/self/fd')
  const paths = await Promise.all(numbers.map((number) => readlink(`/proc/self/fd/${number}`).catch(() => '')))
  return paths.filter((path) => path.startsWith(folder))
}

/** Every request that would change something in the folder behind a fid. */
function changesIn(folder: number, name = 'new'): [string, [number, ...Field[]]][] {
  return [
    ['create', [14, u32(folder), name, u32(0o101), u32(0o644), u32(0)]],
    ['symlink', [16, u32(folder), name, 'target', u32(0)]],
    ['mknod', [18, u32(folder), name, u32(0o100644), u32(0), u32(0), u32(0)]],
    ['mkdir', [72, u32(folder), name, u32(0o755), u32(0)]],
    ['unlink', [76, u32(folder), name, u32(0)]],
    ['rmdir', [76, u32(folder), name, u32(0x200)]],
    ['renameat from', [74, u32(folder), name, u32(0), 'other']],
    ['renameat to', [74, u32(0), 'file', u32(folder), name]],
  ].filter(([what]) => name === 'new' || what !== 'symlink') as [string, [number, ...Field[]]][]
}

function changesOf(fid: number): [string, [number, ...Field[]]][] {
  return [
    ['write', [118, u32(fid), u64(0), new Uint8Array([1])]],
    ['setattr', [26, u32(fid), u32(1 | 8 | 32), u32(0o600), u32(0), u32(0), u64(0), u64(0), u64(0), u64(0), u64(0)]],
    ['rename', [20, u32(fid), u32(0), 'other']],
    ['link', [70, u32(0), u32(fid), 'other']],
    ['remove', [122, u32(fid)]],
  ]
}

/** Fields as requests have them, of few values, so that many mean something. */
function fields(): fc.Arbitrary<Field[]> {
  const few = fc.constantFrom(0, 1, 2, 3, 0xffffffff)
  return fc.array(
    fc.oneof(
      few.map((value) => u32(value)),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => u64(value)),
      fc.constantFrom<Field>('file', 'sub', '..', 'way-out', 'passwd', 'new', '../outside', '', u16(1), u16(2), u8(1)),
    ),
    { maxLength: 9 },
  )
}
