/** Suspending and resuming: what is on disk when, also where it goes wrong. */
import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { tempFolder } from '../../support/temp-folder.ts'
import { attach, testHost, type TestHost } from './support/test-host.ts'

async function running(host: TestHost, cmdline = '', more = {}): Promise<string> {
  const id = await host.make('web-1', cmdline, more)
  await host.machines.start({ id })
  await host.machines.waitBooted({ id })
  await host.machines.type({ id, text: 'set kept\n' })
  return id
}

async function remembers(host: TestHost, id: string): Promise<void> {
  const console = await attach(host, id)
  await console.type('get')
  await console.until('=kept=')
}

describe('a suspended machine', () => {
  test('goes on in another host, with what the guest had in mind', async () => {
    const host = await testHost()
    const id = await running(host, '', { newDiskBytes: 1024 * 1024 })
    const { bootedAt } = await host.machines.get({ id })
    const task = await host.done(host.machines.suspend({ id }))
    expect(task).toMatchObject({ kind: 'suspend-machine', machine: id, state: 'done' })
    const suspended = await host.machines.get({ id })
    expect(suspended).toMatchObject({ state: 'suspended', task: null, lastError: null, startedAt: null })
    expect(suspended.suspendedAt).not.toBeNull()
    expect((await readdir(suspended.bundle)).sort()).toEqual(['boot', 'disks', 'logs', 'machine.json', 'suspend'])
    await host.host.close()

    const next = await testHost({ library: host.library })
    expect(await next.machines.get({ id })).toMatchObject({ state: 'suspended', suspendedAt: suspended.suspendedAt })
    expect(await next.machines.resume({ id })).toMatchObject({ state: 'running', bootedAt })
    await remembers(next, id)
    expect(await readdir(suspended.bundle)).not.toContain('suspend')
    expect(await next.machines.waitBooted({ id })).toMatchObject({ state: 'running' })
  })

  test('stays what it was when it was paused before', async () => {
    const host = await testHost()
    const id = await running(host)
    await host.machines.pause({ id })
    await host.done(host.machines.suspend({ id }))
    await host.machines.start({ id })
    await remembers(host, id)
  })

  test('can be started afresh after its state is thrown away', async () => {
    const host = await testHost()
    const id = await running(host)
    await host.done(host.machines.suspend({ id }))
    expect(await host.machines.discardSuspend({ id })).toMatchObject({ state: 'off', suspendedAt: null })
    await host.machines.start({ id })
    const console = await attach(host, id)
    await console.type('get')
    await console.until('==')
  })

  test('keeps its hardware, and may be renamed', async () => {
    const host = await testHost()
    const id = await running(host)
    await host.done(host.machines.suspend({ id }))
    await expect(host.machines.update({ id, patch: { memoryMiB: 512 } })).rejects.toMatchObject({ code: 'wrong-state' })
    await host.machines.update({ id, patch: { name: 'other' } })
    await host.machines.resume({ id })
    await remembers(host, id)
  })

  test('whose disk was written since is not resumed onto it, and loses nothing', async () => {
    const host = await testHost()
    const id = await running(host, '', { newDiskBytes: 1024 * 1024 })
    await host.done(host.machines.suspend({ id }))
    const { bundle } = await host.machines.get({ id })
    await writeFile(join(bundle, 'disks/disk0.qcow2'), new Uint8Array(512), { flag: 'r+' })
    await expect(host.machines.resume({ id })).rejects.toMatchObject({ message: expect.stringContaining('was changed since') as string })
    expect(await host.machines.get({ id })).toMatchObject({ state: 'suspended', lastError: { code: 'corrupt' } })
  })

  test('that was copied by hand to another library goes on there', async () => {
    const host = await testHost()
    const id = await running(host, '', { newDiskBytes: 1024 * 1024 })
    await host.done(host.machines.suspend({ id }))
    const { bundle } = await host.machines.get({ id })
    await host.host.close()
    const library = await tempFolder()
    await cp(bundle, join(library, 'moved.coppice'), { recursive: true })
    const next = await testHost({ library })
    await next.machines.start({ id })
    await remembers(next, id)
  })

  test.each([
    ['truncated', (memory: string) => truncate(memory, 5), 'its memory file has 5 bytes, and should have 1024.'],
    ['missing', (memory: string) => rm(memory), 'its memory file is missing.'],
  ])('whose memory is %s says so, stays suspended, and can be discarded', async (_what, damage, why) => {
    const host = await testHost()
    const id = await running(host)
    await host.done(host.machines.suspend({ id }))
    const { bundle } = await host.machines.get({ id })
    await damage(join(bundle, 'suspend/memory'))
    const message = `“web-1” cannot be resumed: ${why} Mend that, or discard the suspended state to start it afresh.`
    await expect(host.machines.start({ id })).rejects.toMatchObject({ code: 'corrupt', message })
    expect(await host.machines.get({ id })).toMatchObject({ state: 'suspended', lastError: { message } })
    expect(await readdir(join(bundle, 'suspend'))).toContain('suspend.json')
    expect(await host.machines.discardSuspend({ id })).toMatchObject({ state: 'off' })
  })

  test('whose record is broken is shown so, and untouched', async () => {
    const host = await testHost()
    const id = await running(host)
    await host.done(host.machines.suspend({ id }))
    const record = join((await host.machines.get({ id })).bundle, 'suspend/suspend.json')
    await writeFile(record, '{"schema":1}')
    await host.until(id, ({ lastError }) => lastError !== null)
    await expect(host.machines.start({ id })).rejects.toMatchObject({ message: expect.stringContaining('cannot be read') as string })
    expect(await readFile(record, 'utf8')).toBe('{"schema":1}')
  })
})

describe('suspending that fails', () => {
  test('by a full disk leaves the machine running, says so, and leaves nothing behind', async () => {
    const host = await testHost()
    const id = await running(host, 'nospace')
    const failed = host.done(host.machines.suspend({ id }))
    await expect(failed).rejects.toMatchObject({
      code: 'no-space',
      message: expect.stringMatching(/^“web-1” could not be suspended and goes on running\. .*the disk is full/) as string,
    })
    const view = await host.machines.get({ id })
    expect(view).toMatchObject({ state: 'running', lastError: { code: 'no-space' }, task: null })
    expect((await readdir(view.bundle)).filter((name) => name.startsWith('suspend'))).toEqual([])
    await remembers(host, id)
  })

  test('by a shared folder that the guest uses leaves the machine running, and says who does', async () => {
    const host = await testHost()
    const id = await running(host, 'agent=good inuse')
    const message =
      '“web-1” could not be suspended and goes on running. The shared folder “docs” is in use in the guest by cat (process 12). Close what is open in it, then suspend.'
    await expect(host.done(host.machines.suspend({ id }))).rejects.toMatchObject({ code: 'busy', message })
    const view = await host.machines.get({ id })
    expect(view).toMatchObject({ state: 'running', lastError: { code: 'busy', message }, task: null })
    expect((await readdir(view.bundle)).filter((name) => name.startsWith('suspend'))).toEqual([])
    await remembers(host, id)
    expect(await host.machines.pause({ id })).toMatchObject({ state: 'paused' })
    expect(await host.done(host.machines.suspend({ id }))).toMatchObject({ state: 'done' })
  })

  test('by the death of the engine leaves a crashed machine', async () => {
    const host = await testHost()
    const id = await running(host, 'slow=30000')
    const { task } = await host.machines.suspend({ id })
    await host.machines.type({ id, text: 'die\n' }).catch(() => {})
    expect(await host.tasks.wait({ id: task })).toMatchObject({ state: 'failed', error: { code: 'crashed' } })
    expect(await host.until(id, ({ state }) => state === 'crashed')).toMatchObject({ lastError: { code: 'crashed' } })
    expect(await readdir((await host.machines.get({ id })).bundle)).not.toContain('suspend')
  })

  test('by cancelling leaves the machine as it was', async () => {
    const host = await testHost()
    const id = await running(host, 'slow=300')
    const { task } = await host.machines.suspend({ id })
    expect(await host.machines.get({ id })).toMatchObject({ state: 'suspending', task })
    await expect(host.machines.suspend({ id: 'x' })).rejects.toMatchObject({ code: 'not-found' })
    await host.tasks.cancel({ id: task })
    expect(await host.tasks.wait({ id: task })).toMatchObject({ state: 'cancelled' })
    const view = await host.machines.get({ id })
    expect(view).toMatchObject({ state: 'running', lastError: null, task: null })
    expect((await readdir(view.bundle)).filter((name) => name.startsWith('suspend'))).toEqual([])
    await remembers(host, id)
  })
})

describe('what a crash of the host leaves', () => {
  test('a half-written state means nothing, and goes with the next one', async () => {
    const host = await testHost()
    const id = await host.make('web-1')
    const { bundle } = await host.machines.get({ id })
    await host.host.close()
    await mkdir(join(bundle, 'suspend.new'))
    await writeFile(join(bundle, 'suspend.new/memory'), 'half')
    await writeFile(join(bundle, 'lock'), JSON.stringify({ pid: 2 ** 22 + 1, host: (await import('node:os')).hostname() }))
    const next = await testHost({ library: host.library })
    expect(await next.machines.start({ id })).toMatchObject({ state: 'running' })
    await next.done(next.machines.suspend({ id }))
    expect((await readdir(bundle)).sort()).toEqual(['boot', 'logs', 'machine.json', 'suspend'])
  })

  test('a state that was already used is not used again', async () => {
    const host = await testHost()
    const id = await running(host)
    await host.done(host.machines.suspend({ id }))
    const { bundle } = await host.machines.get({ id })
    await host.host.close()
    // As it is between the start of the guest and the removal of its old memory.
    const { takeSuspended } = await import('../../../src-main/host/machines/suspend/suspended-state.ts')
    await takeSuspended(bundle)
    const next = await testHost({ library: host.library })
    expect(await next.machines.get({ id })).toMatchObject({ state: 'off' })
    await next.machines.start({ id })
    expect(await readdir(bundle)).not.toContain('suspend')
  })
})
