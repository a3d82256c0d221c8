/** The host with the product's own threads and a guest of 21 bytes: what goes wrong around a machine that really runs. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { LOG_FILE } from '../../../src-main/host/log/log.ts'
import { FIRMWARE_FILES } from '../../../src-main/host/machines/running/firmware.ts'
import { echoBios } from '../../support/echo-bios.ts'
import { fillDisk, smallDisk } from '../../support/small-disk.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { put } from './support/fake-files.ts'
import { attach, testHost, type TestHost, type TestHostOptions } from './support/test-host.ts'

async function realHost(options: TestHostOptions = {}): Promise<TestHost> {
  const resources = await tempFolder()
  await put(join(resources, 'firmware', FIRMWARE_FILES.bios), echoBios())
  await put(join(resources, 'firmware', FIRMWARE_FILES.vgaBios), new Uint8Array(512))
  return testHost({ ...options, resources, doubles: {} })
}

/** A machine that gives back what is typed. */
async function make(host: TestHost, name: string, disk = false): Promise<string> {
  const path = await put(join(await tempFolder(), 'd.img'), new Uint8Array(64 * 1024))
  const { result } = await host.done(host.machines.create({ name, source: { kind: 'disk', path }, memoryMiB: 16 }))
  const id = result!.id!
  if (!disk) await host.machines.update({ id, patch: { drives: [] } })
  return id
}

let words = 0

/** The guest executes, and its console comes through. */
async function answers(host: TestHost, id: string): Promise<void> {
  const console = await attach(host, id)
  const word = `word-${++words}`
  await console.type(word)
  await console.until(word)
  console.stream.close()
}

/** The threads that are started from now on. */
function threads(): Worker[] {
  const seen: Worker[] = []
  const see = (worker: Worker): void => void seen.push(worker)
  process.on('worker', see)
  onTestFinished(() => void process.off('worker', see))
  return seen
}

describe('a thread that is ended from outside', () => {
  test('an engine: its machine has crashed with the cause, the others and the host go on', async () => {
    const host = await realHost()
    const [victim, other] = [await make(host, 'victim'), await make(host, 'other')]
    await host.machines.start({ id: other })
    const started = threads()
    await host.machines.start({ id: victim })
    expect(started.map(({ threadName }) => threadName)).toEqual(['coppice-embedded'])
    await answers(host, victim)
    await started[0]!.terminate()
    const message = 'The engine of “victim” ended by itself (exit code 1).'
    const view = await host.until(victim, ({ state }) => state === 'crashed')
    expect(view.lastError).toMatchObject({ code: 'crashed', message })
    expect(await readFile(join(view.bundle, 'logs/crashes.log'), 'utf8')).toContain(message)
    expect(await readdir(view.bundle)).not.toContain('lock')
    await answers(host, other)
    expect(await host.machines.start({ id: victim })).toMatchObject({ state: 'running', lastError: null })
    await answers(host, victim)
  })

  test('the storage: machines with disks have crashed with the cause, the others and the host go on', async () => {
    const host = await realHost()
    const started = threads()
    const [victim, diskless] = [await make(host, 'victim', true), await make(host, 'diskless')]
    await host.machines.start({ id: victim })
    await host.machines.start({ id: diskless })
    await started.find(({ threadName }) => threadName === 'coppice-storage')!.terminate()
    const view = await host.until(victim, ({ state }) => state === 'crashed')
    expect(view.lastError?.message).toBe('The disks of “victim” are gone: The storage thread ended by itself (exit code 1).')
    await answers(host, diskless)
    // Its disk is not taken for one that somebody has.
    expect(await host.machines.start({ id: victim })).toMatchObject({ state: 'running', lastError: null })
    await answers(host, victim)
  })
})

describe('a full disk', () => {
  test.for(['running', 'paused'] as const)('while a %s machine is suspended: it stays so, nothing is left', async (before, context) => {
    const library = await smallDisk(context, 64)
    const host = await realHost({ library })
    const id = await make(host, 'a')
    await host.machines.start({ id })
    await answers(host, id)
    if (before === 'paused') await host.machines.pause({ id })
    const giveBack = await fillDisk(library)
    const goesOn = before === 'running' ? 'goes on running' : 'stays paused'
    await expect(host.done(host.machines.suspend({ id }))).rejects.toMatchObject({
      code: 'no-space',
      message: expect.stringMatching(
        new RegExp(`^“a” could not be suspended and ${goesOn}\\. .* failed: the disk is full\\. Free some space and try again\\.$`),
      ) as string,
    })
    const view = await host.machines.get({ id })
    expect(view).toMatchObject({ state: before, task: null, lastError: { code: 'no-space' } })
    expect((await readdir(view.bundle)).filter((name) => name.startsWith('suspend'))).toEqual([])
    if (before === 'running') await answers(host, id)

    await giveBack()
    await host.done(host.machines.suspend({ id }))
    expect(await host.machines.resume({ id })).toMatchObject({ state: 'running', lastError: null })
    await answers(host, id)
    await host.host.close()
  })

  test('under the serial log: the machine goes on with its console, and the host’s log says so once', async (context) => {
    const library = await smallDisk(context, 2)
    const logFolder = await tempFolder()
    const host = await realHost({ library, logFolder })
    const id = await make(host, 'a')
    await host.machines.start({ id })
    await fillDisk(library)
    const console = await attach(host, id)
    // More than what is left of the file's last block, in pieces that arrive one after the other.
    for (const letter of 'abc') {
      await console.type(letter.repeat(8 * 1024))
      await console.until(letter.repeat(8 * 1024))
    }
    await answers(host, id)
    expect(await host.machines.powerOff({ id })).toMatchObject({ state: 'off', lastError: null })
    const path = join((await host.machines.get({ id })).bundle, 'logs/serial0.log')
    expect((await stat(path)).size).toBeLessThan(24 * 1024)
    await host.host.close()
    const said = (await readFile(join(logFolder, LOG_FILE), 'utf8')).match(/Writing the serial log.*?failed: [^.]*\./g)
    expect(said).toEqual([`Writing the serial log “${path}” failed: the disk is full.`])
  })
})

test('a saved memory that was damaged is refused with its reason and kept; the user can discard it', async () => {
  const host = await realHost()
  const id = await make(host, 'a')
  await host.machines.start({ id })
  await answers(host, id)
  await host.done(host.machines.suspend({ id }))
  const { bundle } = await host.machines.get({ id })
  const path = join(bundle, 'suspend/memory')
  const bytes = await readFile(path)
  bytes[bytes.length >> 1]! ^= 1
  await writeFile(path, bytes)
  // What exactly is wrong depends on the byte.
  const message = expect.stringMatching(`^The saved memory ${path} is damaged: .*\\. Discard it and start the machine anew\\.$`) as string
  await expect(host.machines.resume({ id })).rejects.toMatchObject({ code: 'corrupt', message })
  expect(await host.machines.get({ id })).toMatchObject({ state: 'suspended', lastError: { code: 'corrupt', message } })
  expect((await readdir(join(bundle, 'suspend'))).sort()).toEqual(['memory', 'suspend.json'])
  expect((await readFile(path)).equals(bytes)).toBe(true)

  // Mended, it goes on; nothing of it was used up.
  bytes[bytes.length >> 1]! ^= 1
  await writeFile(path, bytes)
  expect(await host.machines.resume({ id })).toMatchObject({ state: 'running', lastError: null })
  await answers(host, id)
  await host.done(host.machines.suspend({ id }))
  await writeFile(path, bytes.subarray(0, 100))
  await expect(host.machines.resume({ id })).rejects.toMatchObject({ code: 'corrupt' })
  expect(await host.machines.discardSuspend({ id })).toMatchObject({ state: 'off', lastError: null })
  expect(await host.machines.start({ id })).toMatchObject({ state: 'running' })
})
