/** QEMU processes as the engine supervises them: real processes, no guest but a BIOS of 21 bytes. */
import { execFileSync } from 'node:child_process'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { QmpClient } from '../../../src-main/engines/qemu/qmp/qmp-client.ts'
import { QemuEngine } from '../../../src-main/engines/qemu/qemu-engine.ts'
import { connectOnce } from '../../../src-main/engines/qemu/supervise/endpoint.ts'
import { isSameProcess, processStart } from '../../../src-main/process/process-start.ts'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { Counters } from '../../../src-shared/threads/counters.ts'
import { engineThreadOf } from '../../support/engine-thread.ts'
import { withLeakCheck } from '../../support/leak-check.ts'
import { Listener, QemuBench } from '../../support/qemu-machine.ts'
import { QEMU_PROGRAM, SWTPM } from '../../support/qemu-program.ts'
import { memoryPlace } from '../../support/memory-place.ts'

describe.skipIf(!QEMU_PROGRAM || process.platform === 'win32')('QEMU under supervision', () => {
  withLeakCheck()

  const bench = new QemuBench()

  const folders = async (): Promise<string[]> => readdir(join(bench.runtime, 'coppice')).catch(() => [])
  const record = async (): Promise<{ pid: number; start: string; tools: string; text: string }> => {
    const [name] = await folders()
    const text = await readFile(join(bench.runtime, 'coppice', name!, 'machine.json'), 'utf8')
    const { pid, start } = JSON.parse(text) as { pid: number; start: string }
    return { pid, start, tools: join(bench.runtime, 'coppice', name!, 'tools'), text }
  }

  test('a machine has a private folder with short socket paths while it runs, and nothing afterwards', async () => {
    const { machine } = await bench.boot()
    const [name] = await folders()
    const path = join(bench.runtime, 'coppice', name!)
    expect((await stat(path)).mode & 0o777).toBe(0o700)
    for (const file of await readdir(path)) expect(Buffer.byteLength(join('/run/user/1000/coppice', name!, file))).toBeLessThan(100)
    const { pid, start } = await record()
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => 'PATH=')
    expect(environment).not.toContain('VITEST')
    await machine.powerOff()
    expect(await folders()).toEqual([])
    expect(await isSameProcess(pid, start)).toBe(false)
  })

  test('what is typed comes back in order, and is in the log', async () => {
    const { machine, heard } = await bench.boot()
    // This guest does not look whether its UART is ready: what is printed faster than it is read is lost.
    const text = Array.from({ length: 40 }, (_, at) => `${at} `).join('')
    await machine.serial[0]!.input(utf8(text))
    await heard.printed(text)
    expect(bench.counters.read()).toMatchObject({ serialInBytes: text.length, serialOutBytes: text.length + 1 })
    // QEMU writes it to us first.
    await expect.poll(() => readFile(join(bench.spec.logFolder, 'serial0.log'), 'latin1')).toBe(heard.text)
  })

  test('a second control socket is there for tools; what a tool does is seen', async () => {
    const { machine, heard } = await bench.boot()
    const { client, greeting } = await QmpClient.open(await connectOnce({ kind: 'unix', path: (await record()).tools }))
    expect(greeting.version).toBe(bench.spec.qemu!.version)
    expect((await client.execute('query-uuid')).UUID).toBe(bench.spec.id)
    await client.execute('stop')
    await heard.event('paused')
    await machine.resume()
    expect(await client.execute('query-status')).toEqual({ status: 'running', running: true })
    await client.execute('quit')
    expect(await heard.event('stopped')).toEqual({ kind: 'stopped', reason: 'powered-off' })
    client.dispose()
  })

  test('a killed QEMU is reported with its cause, and leaves nothing', async () => {
    const { heard } = await bench.boot()
    process.kill((await record()).pid, 'SIGKILL')
    expect(await heard.event('stopped')).toMatchObject({
      reason: 'trap',
      error: { code: 'crashed', message: expect.stringContaining('QEMU was killed') as string },
    })
    expect(await folders()).toEqual([])
  })

  test('a QEMU ended by the system is no wish of ours', async () => {
    const { heard } = await bench.boot()
    process.kill((await record()).pid, 'SIGTERM')
    expect(await heard.event('stopped')).toMatchObject({
      reason: 'trap',
      error: { message: expect.stringContaining('shutdown') as string },
    })
  })

  test('a QEMU that does not start says why in its own words', async () => {
    const bad = bench.create({ qemu: { ...bench.spec.qemu!, machineType: 'abacus' } })
    await expect(bad).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('QEMU did not start the machine: unsupported machine type') as string,
      details: { technical: expect.stringContaining('exit status 1') as string },
    })
    expect(await folders()).toEqual([])
  })

  test('one that hangs is killed', async () => {
    const { machine, heard } = await bench.boot()
    const { pid } = await record()
    process.kill(pid, 'SIGSTOP')
    await machine.powerOff()
    expect(heard.events.at(-1)).toEqual({ kind: 'stopped', reason: 'powered-off' })
    expect(await folders()).toEqual([])
  })

  test('memory that cannot be written leaves the machine paused and able to go on; saved memory does, too', async () => {
    const { machine, heard } = await bench.boot()
    await machine.pause()
    await expect(machine.saveMemory(memoryPlace(join(bench.folder, 'none', 'memory')))).rejects.toMatchObject({ code: 'not-found' })
    await machine.resume()
    await machine.serial[0]!.input(utf8('on'))
    await heard.printed('on')
    await machine.pause()
    await machine.saveMemory(memoryPlace(join(bench.folder, 'memory')))
    await machine.saveMemory(memoryPlace(join(bench.folder, 'memory')))
    await machine.resume()
    await machine.serial[0]!.input(utf8('again'))
    await heard.printed('again')
  })

  test('a socket that a killed host left does not keep memory from being saved', async () => {
    const { machine } = await bench.boot()
    const [name] = await folders()
    await writeFile(join(bench.runtime, 'coppice', name!, 'memory'), '')
    await machine.pause()
    expect(await machine.saveMemory(memoryPlace(join(bench.folder, 'memory')))).toMatchObject({ engine: 'qemu' })
  })

  test.skipIf(!SWTPM)('a TPM ends where its QEMU does not start', async () => {
    const state = join(bench.folder, 'tpm', 'state')
    const tpm = { swtpm: SWTPM!, state }
    await expect(bench.create({ qemu: { ...bench.spec.qemu!, machineType: 'abacus', tpm } })).rejects.toMatchObject({ code: 'unavailable' })
    expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toContain(state)
    expect(await folders()).toEqual([])
  })

  test('memory is refused where it is damaged, cut, of another QEMU, or of another machine', async () => {
    const { machine } = await bench.boot()
    const path = join(bench.folder, 'memory')
    await machine.pause()
    await machine.saveMemory(memoryPlace(path))
    await machine.powerOff()
    const whole = await readFile(path)
    const with_ = async (bytes: Uint8Array, change: Partial<MachineSpec> = {}): Promise<unknown> => {
      await writeFile(path, bytes)
      return bench.create(change, path).then(
        () => 'taken',
        (error: { code: string }) => error.code,
      )
    }
    const damaged = Uint8Array.from(whole)
    damaged[damaged.length - 5000]! ^= 1
    expect(await with_(damaged)).toBe('corrupt')
    const unreadable = Uint8Array.from(whole)
    unreadable[5000]! ^= 0xff
    expect(await with_(unreadable)).toBe('corrupt')
    expect(await with_(whole.subarray(0, -1))).toBe('corrupt')
    expect(await with_(whole, { qemu: { ...bench.spec.qemu!, version: '99.0.0' } })).toBe('unsupported')
    expect(await with_(whole, { qemu: { ...bench.spec.qemu!, machineType: 'q35' } })).toBe('unsupported')
    expect(await with_(whole, { memoryMiB: 32 })).toBe('unsupported')
    expect(await folders()).toEqual([])
    expect(await with_(whole)).toBe('taken')
  })

  describe('machines outlive their host', () => {
    /** In a thread that ends without them, as a host that is killed does. */
    const abandon = async (typed: string): Promise<void> => {
      const thread = engineThreadOf('qemu', { XDG_RUNTIME_DIR: bench.runtime })
      await thread.engine.create({ spec: bench.spec, blocks: {}, counters: new Counters().buffer, memory: null })
      await thread.engine.start({ machine: bench.spec.id })
      const { stream } = await thread.engine.serial({ machine: bench.spec.id, port: 0, from: null })
      await stream.write(utf8(typed))
      let got = ''
      while (!got.includes(typed)) got += Buffer.from((await stream.read())!).toString('latin1')
      await thread.close()
    }
    const stillThere = async (): Promise<number> =>
      (await new QemuEngine(bench.places).survivors()).filter(
        ({
          record: {
            spec: { id },
          },
        }) => id === bench.spec.id,
      ).length
    const kill = async (): Promise<void> => {
      for (const { record: one } of await new QemuEngine(bench.places).survivors())
        if (one.spec.id === bench.spec.id) process.kill(one.pid, 'SIGKILL')
    }

    test('they are found and taken over with their consoles, and end cleanly', async () => {
      await abandon('before')
      expect(await stillThere()).toBe(1)
      const { machine, spec: found, running } = await bench.engine.adopt(bench.spec.id, bench.spec.logFolder, bench.counters)
      bench.machines.push(machine)
      expect(found).toEqual(bench.spec)
      expect(running).toBe(true)
      expect(Buffer.from(machine.serial[0]!.earlier).toString('latin1')).toBe('Abefore')
      const heard = new Listener(machine)
      await machine.resume()
      await machine.serial[0]!.input(utf8('after'))
      await heard.printed('after')
      expect((await bench.engine.survivors()).filter(({ record: one }) => one.spec.id === bench.spec.id)).toEqual([])
      await machine.pause()
      await machine.powerOff()
      expect(heard.events.at(-1)).toEqual({ kind: 'stopped', reason: 'powered-off' })
      expect(await readFile(join(bench.spec.logFolder, 'serial0.log'), 'latin1')).toBe('Abeforeafter')
      expect(await stillThere()).toBe(0)
    })

    test('the thread takes one over, and shows what was printed before', async () => {
      await abandon('first')
      const thread = engineThreadOf('qemu', { XDG_RUNTIME_DIR: bench.runtime })
      // This computer may run others.
      const survivors = await thread.qemu.survivors({})
      expect(survivors.filter(({ machine }) => machine === bench.spec.id)).toEqual([
        { machine: bench.spec.id, name: 'echo', logFolder: bench.spec.logFolder },
      ])
      await expect(
        thread.engine.create({ spec: bench.spec, blocks: {}, counters: bench.counters.buffer, memory: null }),
      ).rejects.toMatchObject({
        code: 'busy',
      })
      expect(
        await thread.qemu.adopt({ machine: bench.spec.id, logFolder: bench.spec.logFolder, counters: bench.counters.buffer }),
      ).toMatchObject({
        state: 'running',
      })
      const { stream, opening } = await thread.engine.serial({ machine: bench.spec.id, port: 0, from: null })
      expect(opening).toEqual({ start: 0, end: 6 })
      await stream.write(utf8('second'))
      let got = ''
      while (!got.includes('second')) got += Buffer.from((await stream.read())!).toString('latin1')
      expect(got).toBe('Afirstsecond')
      await thread.engine.powerOff({ machine: bench.spec.id })
      await thread.close()
    })

    test('one that cannot be taken over goes on running', async () => {
      await abandon('x')
      const { tools } = await record()
      await rm(join(tools, '..', 'serial0'))
      await expect(bench.engine.adopt(bench.spec.id, bench.spec.logFolder, bench.counters)).rejects.toMatchObject({ code: 'not-found' })
      const { client } = await QmpClient.open(await connectOnce({ kind: 'unix', path: tools }))
      expect(await client.execute('query-status')).toMatchObject({ running: true })
      client.dispose()
      await kill()
    })

    test('one that another host has is left alone', async () => {
      const mine = new QemuEngine(bench.places)
      const machine = await mine.create(bench.spec, { blocks: new Map(), counters: bench.counters, rings: {}, memory: null })
      bench.machines.push(machine)
      await machine.start()
      await expect(bench.engine.adopt(bench.spec.id, bench.spec.logFolder, new Counters())).rejects.toMatchObject({ code: 'busy' })
      await machine.pause()
    })

    test('one that dies after it was taken over is reported at once', async () => {
      await abandon('x')
      const { machine } = await bench.engine.adopt(bench.spec.id, bench.spec.logFolder, bench.counters)
      bench.machines.push(machine)
      const heard = new Listener(machine)
      await kill()
      expect(await heard.event('stopped')).toMatchObject({ reason: 'trap', error: { code: 'crashed' } })
    })

    test.each([
      ['host', { start: 'another time' }],
      ['supervising thread', {}],
    ])('one whose %s died while it was started is ended, and only then', async (_, dead) => {
      const thread = engineThreadOf('qemu', { XDG_RUNTIME_DIR: bench.runtime })
      await thread.engine.create({ spec: bench.spec, blocks: {}, counters: bench.counters.buffer, memory: null })
      const { pid, start } = await record()
      const place = join(bench.runtime, 'coppice', (await folders())[0]!)
      // As it is before the record is written.
      await rm(join(place, 'machine.json'))
      await thread.close()
      const path = join(place, 'starting.json')
      const note = JSON.parse(await readFile(path, 'utf8')) as { host: object }
      const another = { ...note.host, pid: process.ppid, start: await processStart(process.ppid) }
      await writeFile(path, JSON.stringify({ ...note, host: another }))
      expect(await stillThere()).toBe(0)
      expect(await isSameProcess(pid, start), 'another host is at it').toBe(true)
      await writeFile(path, JSON.stringify({ ...note, host: { ...note.host, ...dead } }))
      expect(await stillThere()).toBe(0)
      expect(await isSameProcess(pid, start)).toBe(false)
      expect(await folders()).toEqual([])
    })

    test('one that was made and never started is no machine that runs', async () => {
      const thread = engineThreadOf('qemu', { XDG_RUNTIME_DIR: bench.runtime })
      await thread.engine.create({ spec: bench.spec, blocks: {}, counters: bench.counters.buffer, memory: null })
      const { pid, start } = await record()
      await thread.close()
      await expect(bench.engine.adopt(bench.spec.id, bench.spec.logFolder, bench.counters)).rejects.toMatchObject({ code: 'not-found' })
      expect(await isSameProcess(pid, start)).toBe(false)
      expect(await folders()).toEqual([])
    })

    test('what is left of one that died without a host is removed', async () => {
      await abandon('x')
      await kill()
      await expect.poll(stillThere).toBe(0)
      await expect(bench.engine.adopt(bench.spec.id, bench.spec.logFolder, bench.counters)).rejects.toMatchObject({ code: 'not-found' })
    })
  })

  test('ten machines, one after the other, leave no process, folder or open file', async () => {
    const files = async (): Promise<number> => (await readdir('/proc/self/fd').catch(() => [])).length
    await (await bench.boot()).machine.powerOff()
    const before = await files()
    for (let count = 0; count < 10; count++) await (await bench.boot()).machine.powerOff()
    expect(await files()).toBeLessThanOrEqual(before + 1)
    expect(await folders()).toEqual([])
    expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toContain(bench.spec.id)
    await rm(bench.spec.logFolder, { recursive: true })
  })
})
