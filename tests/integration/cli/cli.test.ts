/** The command line as a process of its own, with real hosts and a library of files. No guest is booted here: tests/guest/cli.test.ts does that. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
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

/** The last line of what was said: `serve` in a checkout may build its window first, and say so. */
function after(sentence: string): string {
  const literal = sentence.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return expect.stringMatching(new RegExp(`(^|\n)${literal}\n$`)) as string
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
      ...['--share', `docs:${folder}`, '--share', `work:${folder}:rw`],
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
    expect(stdout).toContain(`share docs    ${folder}, read-only\n`)
    expect(stdout).toContain(`share work    ${folder}\n`)
    expect(made).toMatchObject({
      why: 'You chose the embedded engine.',
      accelerator: null,
      addresses: [],
      interfaces: [],
      agent: false,
      config: { arch: 'i386', cpus: 1 },
    })
    expect(stdout).toMatch(/^engine +embedded \(You chose the embedded engine\.\)$/m)
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

  it('adds disks by size and file, several at once, and takes them out', async () => {
    const image = join(folder, 'data.img')
    await writeFile(image, new Uint8Array(1024 * 1024))
    const drives = (machine: Listed): unknown =>
      (machine.config as unknown as { drives: { id: string; path: string }[] }).drives.map(({ id, path }) => [id, path])
    expect(drives(await json<Listed>('set', 'web', '--disk', '1G', '--disk', image))).toEqual([
      ['disk0', 'disks/disk0.qcow2'],
      ['disk1', image],
    ])
    expect((await run('show', 'web')).stdout).toMatch(
      /^disk0 +disk, disks\/disk0\.qcow2, \d+ KiB of 1 GiB used\ndisk1 +disk, .*data\.img, .* of 1 MiB used$/m,
    )
    await run('set', 'web', '--resize-disk', 'disk0:+1G')
    expect((await run('show', 'web')).stdout).toMatch(/^disk0 .* of 2 GiB used$/m)
    expect(await run('set', 'web', '--resize-disk', 'disk0:1G')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Add --shrink for that.') as string,
    })
    expect(await run('set', 'web', '--resize-disk', 'disk0:1G', '--shrink')).toMatchObject({ code: 0 })
    expect(await run('set', 'web', '--resize-disk', 'disk7:1G')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no disk “disk7”') as string,
    })
    expect(await run('set', 'web', '--disk', '1G')).toEqual({
      ...{ code: 1, stdout: '', stderr: 'coppice: --disk: The embedded engine has room for 2 disks. Remove one.\n' },
    })
    expect(drives(await json<Listed>('set', 'web', 'drive-order=disk1', '--remove-disk', 'disk0', '--delete-image'))).toEqual([
      ['disk1', image],
    ])
    expect(await readdir(join(library, 'web.coppice', 'disks'))).toEqual([])
    // What lies elsewhere is never deleted.
    expect(drives(await json<Listed>('set', 'web', '--remove-disk', 'disk1', '--delete-image'))).toEqual([])
    expect((await readFile(image)).length).toBe(1024 * 1024)
    expect(await run('set', 'web', '--remove-disk', 'disk1')).toMatchObject({
      code: 2,
      stderr: 'coppice: disk: There is no drive “disk1”. The machine has none.\n',
    })
    expect(await run('set', 'web')).toMatchObject({ code: 2, stderr: expect.stringContaining('Say what to change') as string })
  })

  it('offers its screen to VNC viewers with a password from standard input, which nothing shows', async () => {
    const needed = 'coppice: vnc: Set a VNC password first: a screen is never offered without one.\n'
    expect(await run('set', 'web', 'vnc=on')).toMatchObject({ code: 1, stderr: needed })
    const set = (input: string): Promise<Ran> => coppice(['set', 'web', 'vnc=5907', 'vnc-password=-'], { env, input })
    const long = 'coppice: vnc-password: A VNC password has at most 8 characters: viewers leave out the rest.\n'
    expect(await set('secret123\n')).toEqual({ code: 1, stdout: '', stderr: long })
    expect(await set('secret12\n')).toEqual({ code: 0, stdout: 'web: changed\n', stderr: '' })
    expect((await run('show', 'web')).stdout).toContain('on, port 5907 when it runs')
    expect(await json('show', 'web')).toMatchObject({ vnc: null, config: { vncExport: { enabled: true, port: 5907 } } })
    expect(JSON.stringify(await json('show', 'web'))).not.toContain('secret12')
    await json('set', 'web', 'vnc=off')
    expect((await run('set', 'web', 'vnc-password=secret12')).code).toBe(2)
  })

  it('renames it and finds it under the new name', async () => {
    await json('set', 'web', 'name=web 2')
    expect(await json<Listed>('show', 'web 2')).toMatchObject({ name: 'web 2' })
    expect(await run('show', 'web')).toMatchObject({ code: 1, stderr: 'coppice: There is no machine “web”. The library has “web 2”.\n' })
    await json('set', 'web 2', 'name=web')
  })

  it.each([
    [['create', 'x', '--kernel', 'K', '--share', 'a:/no/such'], /--share: The shared folder “\/no\/such” is not there/],
    [['create', 'x', '--kernel', 'K', '--share', 'a'], /--share: Choose a folder/],
    [['create', 'web', '--kernel', 'K'], /There is already a machine named “web”/],
    [['create', '../x', '--kernel', 'K'], /The name contains “\/”/],
    [['create', '..', '--kernel', 'K'], /The name begins or ends with a full stop\. Choose another one\./],
    [['create', '', '--kernel', 'K'], /The name is empty\. Give it at least one character\./],
    [['create', 'a\u0007', '--kernel', 'K'], /The name contains a control character/],
    [['create', 'n'.repeat(300), '--kernel', 'K'], /The name is longer than 200 characters\. Choose a shorter one\./],
    [['set', 'web', 'name=../x'], /^coppice: name: The name contains “\/”/],
    [['set', 'web', 'name=a\u001bb'], /^coppice: name: The name contains a control character/],
    [['set', 'web', 'memory=9999999M'], /^coppice: memory: 9999999 MiB is more memory/],
    [['create', 'x', '--kernel', 'K', '--memory', '7M'], /^coppice: --memory: 7 MiB is too little/],
    [['create', 'x', '--kernel', 'K', '--memory', '9999999M'], /^coppice: --memory: 9999999 MiB is more memory/],
    [['create', 'x', '--iso', '/none.iso'], /none\.iso/],
    [['type', 'web', 'x'], /is not running/],
    [['screenshot', 'web', 'x.png'], /is not running/],
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
    [[], /^Usage: coppice/],
    [['fly'], /unknown command 'fly'/],
    [['start'], /missing required argument 'name'/],
    [['list', '--colour'], /unknown option '--colour'/],
    [['create', 'x'], /Say what it boots: --sample, --iso FILE, --disk FILE, --floppy FILE or --kernel FILE\./],
    [['create', 'x', '--sample', '--iso', 'y'], /A machine is made from one thing, not from --sample and --iso\./],
    [['create', 'x', '--iso', 'y', '--cmdline', 'quiet'], /--initrd and --cmdline belong to a kernel: give --kernel FILE too\./],
    [['create', 'x', '--sample', '--memory', 'lots'], /“lots” is not an amount of memory\. Write it as in 256M or 1G\./],
    [['create', 'x', '--sample', '--memory', '-7M'], /“-7M” is not an amount of memory\. Write it as in 256M or 1G\./],
    [['create', 'x', '--sample', '--engine', 'other'], /Allowed choices are auto, embedded, qemu\./],
    [['create', 'x', '--sample', '--arch', 'm68k'], /Allowed choices are i386, x86_64, aarch64, riscv64\./],
    [['create', 'x', '--sample', '--cpus', '0'], /“0” is not a number of processors: give a whole number from 1 to 64\./],
    [['set', 'web', 'engine=xen'], /^coppice: engine: “xen” is not an engine\. Choose auto, embedded, qemu\./],
    [['create', 'x', '--sample', '--serial-ports', '9'], /“9” is not a number of serial ports: give a whole number from 1 to 4\./],
    [['console', 'web', '--until', '('], /“\(” is not a regular expression/],
    [['exec', 'web'], /missing required argument 'program'/],
    [['exec', 'web', '--env', '9', '--', 'true'], /“9” is not a variable: write it as NAME=value\./],
    [['exec', 'web', '--timeout', '0', '--', 'true'], /“0” is not a number of seconds above 0\./],
    [['console', 'web', '--port', '9'], /“9” is not /],
    [['console', 'web', '--timeout', '-1'], /“-1” is not a number of seconds above 0\./],
    [['set', 'web', 'memory'], /memory/],
    [['delete', 'web'], /--yes/],
    [['serve', '--port', '99999'], /“99999” is not a port: give a whole number from 0 to 65535\./],
    [['serve', '--listen', ''], /The address is empty: give one, as in 127\.0\.0\.1\./],
    [['list', '--library', ''], /The folder’s path is empty\./],
  ])('calls %j wrong usage, and says what is wrong', async (args, sentence) => {
    const ran = await run(...args)
    expect(ran).toMatchObject({ code: 2, stdout: '' })
    expect(ran.stderr).toMatch(sentence)
  })

  it('tells its own failures to run a program in a guest from the program’s', async () => {
    expect(await run('exec', 'web', '--', 'true')).toEqual({
      code: 125,
      stdout: '',
      stderr: 'coppice: “web” is off: no agent in it can be asked. Start it first.\n',
    })
    expect(await run('exec', 'nothing', '--json', '--', 'cat', '--json')).toMatchObject({ code: 125, stdout: '' })
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

  it.each([['list'], ['serve']])('says why %s has no library: a file', async (command) => {
    const file = join(folder, 'kernel')
    const sentence = `coppice: The library “${file}” is a file, not a folder. Choose another, or move the file away.`
    expect(await coppice([command, '--library', file], { env })).toEqual({ code: 1, stdout: '', stderr: after(sentence) })
    expect(await coppice([command, '--library', join(file, 'in it')], { env })).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/kernel\/in it\) failed: a part of the path is not a folder\.\n$/) as string,
    })
  })

  it.runIf(process.platform === 'linux').each([
    ['list', '/sys/library'],
    ['serve', '/sys/library'],
    ['list', '/proc/library'],
  ])('says why %s has no library: %s cannot be made', async (command, folder) => {
    const ran = await coppice([command, '--library', folder], { env })
    expect(ran).toMatchObject({ code: 1, stdout: '' })
    expect(ran.stderr).toMatch(
      /coppice: Making the library folder \(\/(sys|proc)\/library\) failed: (the system does not permit it|you have no permission for it|the file system is read-only|the file or folder does not exist)\.\n$/,
    )
  })

  it('goes on without settings that cannot be read, and keeps them', async () => {
    const other = join(folder, 'other')
    await mkdir(other)
    await writeFile(join(other, 'settings.json'), '{"theme":')
    expect(await coppice(['list', '--json', '--library', other], { env })).toMatchObject({ code: 0, stdout: '[]\n' })
    await coppice(['quit', '--library', other], { env })
    const kept = (await readdir(other)).find((name) => name.startsWith('settings.json.broken-'))
    expect(await readFile(join(other, kept!), 'utf8')).toBe('{"theme":')
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
    const { port } = served.address
    expect(await run('serve', '--port', port)).toEqual({
      code: 1,
      stdout: '',
      stderr: after(`coppice: Another program uses port ${port} on 127.0.0.1. Choose another port, or 0 for any free one.`),
    })
    expect(await run('serve', '--listen', '192.0.2.1')).toEqual({
      code: 1,
      stdout: '',
      stderr: after('coppice: This computer has no address 192.0.2.1. Use 127.0.0.1, or an address of this computer.'),
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
