/** Templates, comparisons, and machines that need each other, as processes of their own with a real host. */
import { mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { coppice, type Ran } from '../../support/coppice.ts'
import { qemuImg, qemuIo, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'

let folder: string
let env: Record<string, string>

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'cli-templates-')))
  await mkdir(join(folder, 'library'))
  env = {
    COPPICE_LIBRARY: join(folder, 'library'),
    XDG_RUNTIME_DIR: folder,
    XDG_DATA_HOME: join(folder, 'data'),
    COPPICE_STATE: join(folder, 'state'),
    COPPICE_CACHE: join(folder, 'cache'),
  }
})
afterAll(async () => {
  await coppice(['quit', '--force'], { env })
  await rm(folder, { recursive: true })
})

const run = (...args: string[]): Promise<Ran> => coppice(args, { env, cwd: folder })
const bundle = (name: string): string => join(folder, 'library', `${name}.coppice`)

async function diskOf(name: string): Promise<string> {
  const config = JSON.parse(await readFile(join(bundle(name), 'machine.json'), 'utf8')) as { drives: { path: string }[] }
  return join(bundle(name), config.drives[0]!.path)
}

describe.skipIf(WITHOUT_QEMU_IMG)('coppice template, snapshot compare and delete', () => {
  it('a template does not start, and machines are made from it', async () => {
    const disk = join(folder, 'disk.qcow2')
    await qemuImg('create', '-q', '-f', 'qcow2', disk, '64M')
    await qemuIo('qcow2', disk, 'write -P 1 0 8M')
    expect(await run('create', 'golden', '--disk', disk, '--engine', 'embedded')).toMatchObject({ code: 0 })
    expect(await run('template', 'golden', 'on')).toEqual({ code: 0, stdout: 'golden: a template\n', stderr: '' })
    expect(await run('start', 'golden')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('“golden” is a template: it does not start') as string,
    })
    expect((await run('list')).stdout).toMatch(/^golden +Template/m)
    expect((await run('show', 'golden')).stdout).toMatch(/^template +yes/m)
    for (const name of ['a', 'b']) expect(await run('clone', 'golden', name, '--linked')).toMatchObject({ code: 0 })
    // They share what they begin with.
    expect((await run('snapshot', 'list', 'golden')).stdout.trim().split('\n')).toHaveLength(2)
    expect(await run('set', 'golden', 'memory=128M')).toMatchObject({ code: 1, stderr: expect.stringContaining('template') as string })
    expect(await run('template', 'golden', 'off')).toMatchObject({ code: 0, stdout: 'golden: an ordinary machine\n' })
    expect(await run('template', 'golden', 'maybe')).toMatchObject({ code: 2 })
  })

  it('two states are compared', async () => {
    await run('snapshot', 'take', 'a', 'before')
    await qemuIo('qcow2', await diskOf('a'), 'write -P 9 32M 1M')
    await run('snapshot', 'take', 'a', 'after')
    const compared = await run('snapshot', 'compare', 'a', 'before', 'after')
    expect(compared.stdout).toMatch(/^disk0: 1(\.0)? MiB changed, 256 blocks \(of 64 MiB\)\n {2}·+[░▒▓█]+·+\n/)
    expect((await run('snapshot', 'compare', 'a', 'after')).stdout).toBe('disk0: the same (64 MiB)\n')
    const json = JSON.parse((await run('snapshot', 'compare', 'a', 'before', 'now', '--json')).stdout) as { after: null; disks: object[] }
    expect(json).toMatchObject({ after: null, disks: [{ drive: 'disk0', there: 'both', difference: { changedBytes: 2 ** 20 } }] })
    expect(await run('snapshot', 'compare', 'a', 'nothing')).toMatchObject({ code: 1 })
  })

  it('a machine that another one needs is not deleted unawares', async () => {
    expect(await run('set', 'b', '--disk', await diskOf('a'))).toMatchObject({ code: 0 })
    expect(await run('delete', 'a', '--yes')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/“b” has “disks\/.*” as a drive\. Add --needed/) as string,
    })
    expect(await run('delete', 'a', '--yes', '--needed')).toMatchObject({ code: 0 })
  })
})
