/** `coppice import` and `coppice export` as processes of their own with a real host. */
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { OfferedMachine } from '../../../src-shared/api/exchange.ts'
import { coppice, type Ran } from '../../support/coppice.ts'
import { qemuImg, qemuIo, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'

let folder: string
let env: Record<string, string>

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'cli-exchange-')))
  await mkdir(join(folder, 'files'))
  await mkdir(join(folder, 'library'))
  env = {
    COPPICE_LIBRARY: join(folder, 'library'),
    XDG_RUNTIME_DIR: folder,
    COPPICE_STATE: join(folder, 'state'),
    COPPICE_CACHE: join(folder, 'cache'),
  }
})
afterAll(async () => {
  await coppice(['quit', '--force'], { env })
  await rm(folder, { recursive: true })
})

const run = (...args: string[]): Promise<Ran> => coppice(args, { env, cwd: join(folder, 'files') })

async function json<T>(...args: string[]): Promise<T> {
  const ran = await run(...args, '--json')
  expect(ran).toMatchObject({ code: 0, stderr: '' })
  return JSON.parse(ran.stdout) as T
}

describe.skipIf(WITHOUT_QEMU_IMG)('coppice import and export', () => {
  it('take a bare disk, and say what is made of it', async () => {
    await qemuImg('create', '-q', '-f', 'vmdk', '-o', 'subformat=monolithicSparse', join(folder, 'files/old.vmdk'), '16M')
    await qemuIo('vmdk', join(folder, 'files/old.vmdk'), 'write -P 5 1M 1M')
    const dry = await json<{ kind: string; machines: OfferedMachine[] }>('import', 'old.vmdk', '--dry-run')
    expect(dry).toMatchObject({
      kind: 'disk',
      machines: [{ name: 'old', drives: [{ format: 'vmdk', size: 16 * 2 ** 20 }], refused: null }],
    })
    expect((await run('import', 'old.vmdk', '--dry-run')).stdout).toMatch(
      /^old: x86_64, 1 processor, 1 GiB, bios\n {2}disk: old\.vmdk, vmdk, 16 MiB\n/,
    )
    expect(await run('list')).toMatchObject({ stdout: expect.not.stringContaining('old') as string })
    const ran = await run('import', 'old.vmdk', '--name', 'a')
    expect(ran).toMatchObject({ code: 0, stderr: '' })
    expect(ran.stdout).toMatch(/^a: imported into .*a\.coppice\n {2}Its hardware is not known/)
    const { machine } = await json<{ machine: { name: string; config: { drives: { path: string }[] }; bundle: string } }>(
      'import',
      'old.vmdk',
    )
    expect(machine.name).toBe('old')
    await qemuImg('compare', '-q', join(folder, 'files/old.vmdk'), join(machine.bundle, machine.config.drives[0]!.path))
  })

  it('write a machine into one file, of either kind', async () => {
    await run('snapshot', 'take', 'a', 'first')
    for (const file of ['a.ova', 'a.coppice']) {
      const made = await json<{ path: string; bytes: number; remarks: string[] }>('export', 'a', file)
      expect(made).toMatchObject({ path: join(folder, 'files', file), bytes: (await stat(join(folder, 'files', file))).size })
      expect(await run('export', 'a', file)).toEqual({
        code: 1,
        stdout: '',
        stderr: `coppice: There already is something at “${join(folder, 'files', file)}”. Replace it by --force.\n`,
      })
      expect(await run('export', 'a', file, '--force')).toMatchObject({ code: 0, stderr: '' })
      const { machine } = await json<{ machine: { bundle: string; config: { drives: { path: string }[] } } }>(
        'import',
        file,
        '--name',
        `from ${file}`,
      )
      await qemuImg('compare', '-q', join(folder, 'files/old.vmdk'), join(machine.bundle, machine.config.drives[0]!.path))
    }
    expect((await run('export', 'a', 'then.ova', '--from', 'first')).stdout).toContain('It is exported as it was at “first”.')
    expect((await run('snapshot', 'list', 'from a.coppice')).stdout).toContain('first')
    expect((await run('snapshot', 'list', 'from a.ova')).stdout).not.toContain('first')
    expect((await readdir(join(folder, 'files'))).sort()).toEqual(['a.coppice', 'a.ova', 'old.vmdk', 'then.ova'])
  })

  it('refuse in one sentence', async () => {
    expect(await run('export', 'a', 'a.zip')).toMatchObject({ code: 2, stderr: expect.stringContaining('.ova') as string })
    expect(await run('export', 'a', 'x.coppice', '--from', 'first')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^coppice: --from: /) as string,
    })
    expect(await run('import', 'nothing.ova')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^coppice: .*nothing\.ova.*\n$/) as string,
    })
    expect(await run('import', 'old.vmdk', '--name', 'a')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('already a machine named “a”') as string,
    })
    await writeFile(join(folder, 'files/bad.ova'), (await readFile(join(folder, 'files/a.ova'))).subarray(0, 30_000))
    expect(await run('import', 'bad.ova')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('too early') as string })
    await rm(join(folder, 'files/bad.ova'))
  })
})
