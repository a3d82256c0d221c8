/** The command line as a process of its own, with real hosts and a library of files. No guest is booted here: tests/guest/cli.test.ts does that. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { appRoot } from '../../../src-main/app/paths.ts'
import { coppice, type Ran } from '../../support/coppice.ts'

let folder: string
let library: string
let env: Record<string, string>

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'cli-')))
  library = join(folder, 'library')
  await mkdir(library)
  env = {
    COPPICE_LIBRARY: library,
    XDG_RUNTIME_DIR: folder,
    COPPICE_STATE: join(folder, 'state'),
    COPPICE_CACHE: join(folder, 'cache'),
    XDG_DATA_HOME: join(folder, 'data'),
  }
  await writeFile(join(folder, 'kernel'), kernelLike())
})
afterAll(async () => {
  await run('quit', '--force')
  await rm(folder, { recursive: true })
})

/** A header as a Linux kernel for PCs has it (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"), and nothing behind it. */
function kernelLike(): Buffer {
  const image = Buffer.alloc(64 * 1024)
  image.writeUInt8(4, 0x1f1) // setup_sects
  image.writeUInt16LE(0xaa55, 0x1fe)
  image.write('HdrS', 0x202, 'latin1')
  image.writeUInt16LE(0x020f, 0x206) // boot protocol 2.15
  return image
}

function run(...args: string[]): Promise<Ran> {
  return coppice(args, { env })
}

async function json<T>(...args: string[]): Promise<T> {
  const ran = await run(...args, '--json')
  expect(ran).toMatchObject({ code: 0, stderr: '' })
  return JSON.parse(ran.stdout) as T
}

interface Listed {
  id: string
  name: string
  engine: string
  state: string
  bundle: string
  config: { memoryMiB: number; tags: string[]; boot: { cmdline: string } }
}

describe('coppice', () => {
  it('starts a host by itself and shows an empty library', async () => {
    expect(await json('list')).toEqual([])
    expect(await run('list')).toEqual({ code: 0, stdout: '', stderr: expect.stringContaining('coppice create') as string })
  })

  it('makes a machine and shows it', async () => {
    const made = await json<Listed>(
      'create',
      'web',
      '--kernel',
      join(folder, 'kernel'),
      '--cmdline',
      'quiet',
      '--memory',
      '64M',
      '--engine',
      'embedded',
    )
    expect(made).toMatchObject({
      name: 'web',
      engine: 'embedded',
      state: 'off',
      bundle: join(library, 'web.coppice'),
      config: { memoryMiB: 64 },
    })
    expect(await readdir(library)).toContain('web.coppice')
    expect(await json<Listed[]>('list')).toMatchObject([{ id: made.id, name: 'web' }])
    expect(await json<Listed>('show', made.id.slice(0, 8))).toEqual(await json<Listed>('show', 'web'))
    const { stdout } = await run('show', 'web')
    expect(stdout).toMatch(/^name +web$/m)
    expect(stdout).toMatch(/^cmdline +quiet$/m)
    expect((await run('list')).stdout).toMatch(/^NAME .*\nweb +Off +64 MiB +embedded +[0-9a-f]{8}\n$/)
  })

  it('changes it, and names the key that is wrong', async () => {
    expect(await json<Listed>('set', 'web', 'memory=128M', 'cmdline=console=ttyS0', 'tags=a,b')).toMatchObject({
      config: { memoryMiB: 128, tags: ['a', 'b'], boot: { cmdline: 'console=ttyS0' } },
    })
    expect(await run('set', 'web', 'memory=7')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'coppice: memory: 7 MiB is too little memory. Give the machine at least 16 MiB.\n',
    })
    expect(await run('set', 'web', 'colour=red')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^coppice: There is no key “colour”/) as string,
    })
    expect((await json<Listed>('show', 'web')).config.memoryMiB).toBe(128)
  })

  it('renames it and finds it under the new name', async () => {
    await json('set', 'web', 'name=web 2')
    expect(await json<Listed>('show', 'web 2')).toMatchObject({ name: 'web 2' })
    expect(await run('show', 'web')).toMatchObject({ code: 1, stderr: 'coppice: There is no machine “web”. The library has “web 2”.\n' })
    await json('set', 'web 2', 'name=web')
  })

  it.each([
    [['create', 'web', '--kernel', 'K'], /There is already a machine named “web”/],
    [['create', '../x', '--kernel', 'K'], /The name contains “\/”/],
    [['create', 'a\u0007', '--kernel', 'K'], /The name contains a control character/],
    [['create', 'x', '--kernel', 'K', '--memory', '7M'], /^coppice: --memory: 7 MiB is too little/],
    [['create', 'x', '--kernel', 'K', '--memory', '9999999M'], /^coppice: --memory: 9999999 MiB is more memory/],
    [['create', 'x', '--iso', '/none.iso'], /none\.iso/],
    [['type', 'web', 'x'], /is not running/],
    [['console', 'web'], /“web” is off\. Start it with “coppice start web”/],
    [['metrics', 'web'], /“web” does not run/],
    [['pause', 'web'], /“web”/],
    [['suspend', 'web'], /“web”/],
    [['start', 'nothing'], /There is no machine “nothing”/],
  ])('fails with one sentence: %j', async (args, sentence) => {
    const ran = await run(...args.map((arg) => (arg === 'K' ? join(folder, 'kernel') : arg)))
    expect(ran).toMatchObject({ code: 1, stdout: '' })
    expect(ran.stderr).toMatch(sentence)
    expect(ran.stderr.split('\n')).toHaveLength(2)
    expect(await json<Listed[]>('list')).toHaveLength(1)
  })

  it.each([
    [[]],
    [['fly']],
    [['start']],
    [['list', '--colour']],
    [['create', 'x']],
    [['create', 'x', '--sample', '--iso', 'y']],
    [['create', 'x', '--iso', 'y', '--cmdline', 'quiet']],
    [['create', 'x', '--sample', '--memory', 'lots']],
    [['create', 'x', '--sample', '--engine', 'other']],
    [['console', 'web', '--until', '(']],
    [['console', 'web', '--port', '9']],
    [['set', 'web', 'memory']],
    [['delete', 'web']],
    [['serve', '--port', '99999']],
    [['list', '--library', '']],
  ])('calls %j wrong usage', async (args) => {
    const ran = await run(...args)
    expect(ran.code).toBe(2)
    expect(ran.stdout).toBe('')
    expect(ran.stderr).not.toBe('')
  })

  it('says that a stopped machine is stopped', async () => {
    expect(await run('stop', 'web')).toEqual({ code: 0, stdout: 'web: off\n', stderr: '' })
    expect(await run('stop', 'web', '--force')).toMatchObject({ code: 0 })
  })

  it('shows a bundle that cannot be read with its reason, and leaves it alone', async () => {
    const bundle = join(library, 'bad.coppice')
    await mkdir(bundle)
    await writeFile(join(bundle, 'machine.json'), '{')
    let broken: Listed | undefined
    while (!broken) broken = (await json<Listed[]>('list')).find(({ state }) => state === 'broken')
    expect(broken).toMatchObject({ name: 'bad', bundle })
    expect((await run('show', 'bad')).stdout).toMatch(/^problem +.*machine\.json/m)
    expect(await run('set', 'bad', 'memory=64M')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('“bad” cannot be changed') as string,
    })
    await rm(bundle, { recursive: true })
  })

  it('works through a link from anywhere', async () => {
    const link = join(folder, 'coppice-link')
    await symlink(join(appRoot, 'bin/coppice'), link)
    expect(await coppice(['list', '--json'], { env, cwd: folder, program: link })).toMatchObject({ code: 0 })
  })

  it('asks doctor', async () => {
    const report = await json<{ summary: string; checks: { id: string }[] }>('doctor')
    expect(report.checks.length).toBeGreaterThan(0)
    expect((await run('doctor')).stdout).toContain(report.summary)
  })

  it('moves a machine to the trash', async () => {
    expect(await run('delete', 'web')).toMatchObject({ code: 2 })
    const { trashedTo } = await json<{ trashedTo: string }>('delete', 'web', '--yes')
    expect(await json('list')).toEqual([])
    await rm(trashedTo, { recursive: true, force: true })
  })

  it('ends the host, and says when there is none', async () => {
    expect(await json('quit')).toEqual({ ended: true })
    expect(await json('quit')).toEqual({ ended: false })
    expect(await run('quit')).toEqual({ code: 0, stdout: 'No Coppice runs for this library.\n', stderr: '' })
  })

  it('says why a host cannot start', async () => {
    const ran = await coppice(['list', '--library', join(folder, 'kernel')], { env })
    expect(ran).toMatchObject({ code: 1, stdout: '' })
    expect(ran.stderr).toMatch(/^coppice: .*kernel/)
  })
})

describe('coppice serve', () => {
  async function serving(args: string[]): Promise<{ address: URL; end(): Promise<Ran> }> {
    const child = spawn(join(appRoot, 'bin/coppice'), ['serve', '--json', ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()))
    child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()))
    const exited = once(child, 'exit') as Promise<[number | null]>
    await Promise.race([once(child.stdout, 'data'), exited])
    if (stdout === '') throw new Error(`serve ended: ${stderr}`)
    return {
      address: new URL((JSON.parse(stdout) as { url: string }).url),
      end: async () => {
        child.kill('SIGINT')
        const [code] = await exited
        return { code, stdout, stderr }
      },
    }
  }

  async function opens(address: URL): Promise<boolean> {
    return fetch(address, { redirect: 'manual' }).then(
      (page) => page.status === 303,
      () => false,
    )
  }

  it('is the host, prints one line with the token, and ends at Ctrl-C', async () => {
    const served = await serving([])
    expect(served.address.hostname).toBe('127.0.0.1')
    expect(served.address.searchParams.get('token')).toMatch(/^[\w-]{32,}$/)
    expect(await opens(served.address)).toBe(true)
    expect(await json('list')).toEqual([])
    const { code, stdout } = await served.end()
    expect(code).toBe(0)
    expect(stdout.split('\n')).toHaveLength(2)
    expect(await opens(served.address)).toBe(false)
    expect(await json('quit')).toEqual({ ended: false })
  })

  it('serves from the host that runs, which stays', async () => {
    await json('list')
    const served = await serving([])
    expect(await opens(served.address)).toBe(true)
    expect(await run('serve', '--port', served.address.port)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining(served.address.port) as string,
    })
    expect(await run('serve', '--allow-terminal')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('started without terminals') as string,
    })
    expect((await served.end()).code).toBe(0)
    expect(await opens(served.address)).toBe(false)
    expect(await json('quit')).toEqual({ ended: true })
  })

  it('ends when somebody quits its host', async () => {
    const served = await serving([])
    expect(await json('quit')).toEqual({ ended: true })
    expect((await served.end()).code).toBe(0)
  })
})
