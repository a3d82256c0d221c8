/** What every engine does, over the thread contract that hosts use. A new engine passes this suite, or the host cannot use it. */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { utf8 } from '../../src-shared/base/bytes.ts'
import { newId } from '../../src-shared/base/ids.ts'
import type { Disposable } from '../../src-shared/base/disposable.ts'
import type { LiveChange } from '../../src-shared/model/live-change.ts'
import type { LiveKind } from '../../src-shared/model/live-hardware.ts'
import type { MachineSpec } from '../../src-shared/model/machine-spec.ts'
import type { ByteStream } from '../../src-shared/rpc/byte-stream.ts'
import type { Client } from '../../src-shared/rpc/service.ts'
import { Counters } from '../../src-shared/threads/counters.ts'
import type { engineThread, EngineEvent, MemoryPlace } from '../../src-shared/threads/engine-thread.ts'
import { MemoryDisk } from '../guest/support/memory-disk.ts'
import { echoBios } from '../support/echo-bios.ts'
import { DESKTOP_SIZE, RAW, RfbClient } from '../support/rfb-client.ts'
import { specDrive } from '../support/spec-drive.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { memoryPlace } from '../support/memory-place.ts'

export interface EngineThread {
  engine: Client<typeof engineThread>
  close(): Promise<void>
}

/** What differs from engine to engine. */
export interface EngineUnderTest {
  /** A fresh thread of it. */
  startThread(): EngineThread
  /** Of a machine that starts with the given BIOS. */
  spec(bios: string, folder: string): Pick<MachineSpec, 'engine' | 'firmware' | 'qemu'>
  /** It has the bytes of its drives from block ports. */
  takesBlocks: boolean
}

export function engineContract(name: string, engine: EngineUnderTest, skip = false): void {
  describe.skipIf(skip)(`the engine contract: ${name}`, () => {
    let folder: string
    let spec: MachineSpec
    let thread: EngineThread
    let events: EngineEvent[]
    let counters: Counters
    let listening: Disposable

    beforeEach(async () => {
      folder = await tempFolder()
      const bios = join(folder, 'bios.bin')
      await writeFile(bios, echoBios())
      spec = {
        id: newId(),
        name: 'contract',
        ...engine.spec(bios, folder),
        arch: 'i386',
        cpus: 1,
        memoryMiB: 16,
        boot: { kind: 'firmware', order: ['disk'] },
        drives: [],
        nics: [{ id: 'nic-1', model: 'virtio', mac: '52:54:00:00:00:01' }],
        serialPorts: 2,
        sharedFolders: [],
        logFolder: join(folder, 'logs'),
      }
      open()
    })
    afterEach(async () => {
      listening.dispose()
      // An engine whose machines are processes of their own does not end them with its thread.
      await thread.engine.powerOff(it()).catch(() => {})
      await thread.close()
    })

    const open = (): void => {
      thread = engine.startThread()
      events = []
      counters = new Counters()
      listening = thread.engine.events((event) => events.push(event))
    }
    const create = (changes: Partial<MachineSpec> = {}, memory: string | null = null): Promise<void> =>
      thread.engine.create({
        spec: { ...spec, ...changes },
        blocks: {},
        counters: counters.buffer,
        memory: memory === null ? null : memoryPlace(memory),
      })
    const it = (): { machine: string } => ({ machine: spec.id })
    const seen = (kind: EngineEvent['kind']): Promise<void> => expect.poll(() => events.map((event) => event.kind)).toContain(kind)
    const serial = async (): Promise<ByteStream> => (await thread.engine.serial({ ...it(), port: 0, from: null })).stream
    const readText = async (stream: ByteStream, text: string): Promise<string> => {
      let got = ''
      while (!got.includes(text)) got += Buffer.from((await stream.read())!).toString('latin1')
      return got
    }

    test('it describes itself', async () => {
      const described = await thread.engine.describe({})
      expect(described.version).toMatch(/\d/)
      expect(described.arches.length).toBeGreaterThan(0)
      expect(described.maxMemoryMiB).toBeGreaterThanOrEqual(16)
      expect(described.isolation).toMatch(/\.$/)
    })

    test('a machine runs, answers on its serial port, stands still while paused, is reset and switched off', async () => {
      await create()
      expect(events).toEqual([])
      await thread.engine.start(it())
      await seen('running')
      const stream = await serial()
      await readText(stream, 'A')
      await stream.write(utf8('typed'))
      await readText(stream, 'typed')

      await thread.engine.pause(it())
      await seen('paused')
      const before = counters.read()
      await stream.write(utf8('waits'))
      expect(before).toMatchObject({ serialInBytes: 5, serialOutBytes: 6 })
      expect(before.cpuMicros).toBeGreaterThan(0)
      expect(before.memoryBytes).toBeGreaterThanOrEqual(16 * 1024 * 1024)
      const { instructions, cpuMicros } = counters.read()
      expect({ instructions, cpuMicros }).toEqual({ instructions: before.instructions, cpuMicros: before.cpuMicros })
      await thread.engine.resume(it())
      await readText(stream, 'waits')

      await thread.engine.reset(it())
      await seen('rebooted')
      await readText(stream, 'A')
      await thread.engine.powerOff(it())
      expect(events.at(-1)).toEqual({ ...it(), kind: 'stopped', reason: 'powered-off' })
      while (await stream.read());
      expect(await readFile(join(spec.logFolder, 'serial0.log'), 'latin1')).toBe('AtypedwaitsA')
    })

    test('it merges layers of disks that it opens itself; else that is the host’s to do', async () => {
      expect((await thread.engine.describe({})).features.includes('mergeDisk')).toBe(!engine.takesBlocks)
      await create()
      await thread.engine.start(it())
      await seen('running')
      const order = { ...it(), lower: join(folder, 'a'), upper: join(folder, 'b'), base: null }
      await expect(thread.engine.mergeDisk(order)).rejects.toMatchObject({ code: engine.takesBlocks ? 'unsupported' : 'not-found' })
    })

    test('its screen is seen by several viewers, and taken as a picture, until it is switched off', async () => {
      await create()
      await thread.engine.start(it())
      const open = async (): Promise<RfbClient> =>
        RfbClient.open((await thread.engine.display(it())).stream, { encodings: [RAW, DESKTOP_SIZE] })
      const viewers = [await open(), await open()]
      for (const viewer of viewers) {
        const { rects } = await viewer.update(false)
        expect(rects.length).toBeGreaterThan(0)
        expect(viewer.width * viewer.height).toBeGreaterThan(0)
      }
      viewers[0]!.close()
      await viewers[1]!.update(false)
      const { png } = await thread.engine.screenshot(it())
      const header = new DataView(png.buffer, png.byteOffset)
      // Signature, and the width and height of its header (ISO/IEC 15948).
      expect([header.getUint32(0), header.getUint32(16), header.getUint32(20)]).toEqual([0x89504e47, viewers[1]!.width, viewers[1]!.height])
      await thread.engine.powerOff(it())
      await expect(
        (async () => {
          for (;;) await viewers[1]!.update(false)
        })(),
      ).rejects.toThrow()
    })

    describe('hardware that changes while it runs', () => {
      const cd = (): MachineSpec['drives'][number] => specDrive('cd0', 'cdrom', { inserted: false, path: null })
      const image = async (name: string, bytes = new Uint8Array(40 * 2048)): Promise<string> => {
        const path = join(folder, name)
        await writeFile(path, bytes)
        return path
      }
      const change = async (what: LiveChange, bytes = new Uint8Array(40 * 2048)): Promise<void> => {
        const lent = what.kind === 'insert' && engine.takesBlocks ? new MemoryDisk(bytes, true) : null
        const request = { ...it(), change: what, block: lent?.port ?? null }
        await thread.engine.change(request, { transfer: lent ? [lent.port] : [] }).finally(() => lent?.dispose())
      }
      const now = (): MachineSpec | undefined => events.findLast((event) => event.kind === 'hardware')?.spec
      const insert = (path: string): LiveChange => ({ kind: 'insert', drive: 'cd0', path, readOnly: true })

      test('a CD and the link, while it runs and while it is paused', async () => {
        await create({ drives: [cd()] })
        await expect(change(insert('/early')), 'before it runs').rejects.toMatchObject({ code: 'wrong-state' })
        await thread.engine.start(it())
        await readText(await serial(), 'A')
        const [first, second] = [await image('first.iso'), await image('second.iso')]
        await change(insert(first))
        expect(now()!.drives).toMatchObject([{ id: 'cd0', inserted: true, path: first }])
        await change(insert(second))
        await change({ kind: 'link', nic: 'nic-1', up: true })
        await thread.engine.pause(it())
        await change({ kind: 'eject', drive: 'cd0' })
        await change({ kind: 'eject', drive: 'cd0' })
        await change({ kind: 'link', nic: 'nic-1', up: false })
        expect(now()).toEqual({ ...spec, drives: [cd()], nics: [{ ...spec.nics[0], linkUp: false }] })
        await thread.engine.powerOff(it())
        await expect(change(insert(first))).rejects.toMatchObject({ code: 'wrong-state' })
      })

      test('what is not there, or cannot be used, is refused and changes nothing', async () => {
        await create({ drives: [cd()] })
        await thread.engine.start(it())
        const before = await image('before.iso')
        await change(insert(before))
        await expect(change({ kind: 'eject', drive: 'cd7' })).rejects.toMatchObject({ code: 'not-found' })
        await expect(change({ ...insert(before), drive: 'cd7' } as LiveChange)).rejects.toMatchObject({ code: 'not-found' })
        await expect(change({ kind: 'link', nic: 'nic-7', up: true })).rejects.toMatchObject({ code: 'not-found' })
        if (engine.takesBlocks) await expect(change(insert('/empty'), new Uint8Array(0))).rejects.toMatchObject({ code: 'corrupt' })
        else await expect(change(insert(join(folder, 'none.iso')))).rejects.toMatchObject({ code: 'not-found' })
        expect(events.filter(({ kind }) => kind === 'hardware')).toHaveLength(1)
        expect(now()!.drives).toMatchObject([{ inserted: true, path: before }])
      })

      test('what it does not say that it can, it refuses as unsupported', async () => {
        const { live } = await thread.engine.describe({})
        await create()
        await thread.engine.start(it())
        const others: [LiveKind, LiveChange][] = [
          ['addDisk', { kind: 'addDisk', drive: specDrive('disk-1', 'disk', { path: await image('disk.img') }) }],
          ['growDisk', { kind: 'growDisk', drive: 'disk-1', bytes: 1024 * 1024 }],
          ['addNic', { kind: 'addNic', nic: { id: 'nic-2', model: 'virtio', mac: '52:54:00:00:00:02' } }],
          ['cpus', { kind: 'cpus', cpus: 2 }],
        ]
        for (const [kind, what] of others)
          if (!live.includes(kind)) await expect(change(what)).rejects.toMatchObject({ code: 'unsupported' })
          else if (kind === 'cpus') await expect(change(what), 'no room was left for more').rejects.toMatchObject({ code: 'unsupported' })
          else await change(what)
        if (!live.includes('addDisk')) return
        expect((await stat(join(folder, 'disk.img'))).size).toBe(1024 * 1024)
        await expect(change(others[0]![1])).rejects.toMatchObject({ code: 'already-exists' })
        await expect(change({ kind: 'removeDisk', drive: 'disk-7' })).rejects.toMatchObject({ code: 'not-found' })
        await expect(change({ kind: 'removeNic', nic: 'nic-7' })).rejects.toMatchObject({ code: 'not-found' })
        expect(now()).toMatchObject({ drives: [{ id: 'disk-1' }], nics: [{ id: 'nic-1' }, { id: 'nic-2' }] })
      })

      test('is there when the machine goes on from its memory', async () => {
        await create({ drives: [cd()] })
        await thread.engine.start(it())
        await readText(await serial(), 'A')
        const { live } = await thread.engine.describe({})
        await change(insert(await image('a.iso')))
        await change({ kind: 'link', nic: 'nic-1', up: true })
        if (live.includes('addDisk')) {
          await change({ kind: 'addDisk', drive: specDrive('disk-1', 'disk', { path: await image('disk.img') }) })
          await change({ kind: 'addNic', nic: { id: 'nic-2', model: 'virtio', mac: '52:54:00:00:00:02' } })
        }
        await thread.engine.pause(it())
        const path = join(folder, 'memory')
        await thread.engine.saveMemory({ ...it(), memory: memoryPlace(path) })
        const after = now()!
        await thread.engine.powerOff(it())
        await thread.close()
        open()
        const lent = engine.takesBlocks ? { cd0: new MemoryDisk(new Uint8Array(40 * 2048), true) } : {}
        const blocks = Object.fromEntries(Object.entries(lent).map(([id, disk]) => [id, disk.port]))
        const request = { spec: after, blocks, counters: counters.buffer, memory: memoryPlace(path) }
        await thread.engine.create(request, { transfer: Object.values(blocks) })
        await thread.engine.start(it())
        const stream = await serial()
        await stream.write(utf8('on'))
        expect(await readText(stream, 'on')).toBe('on')
        for (const disk of Object.values(lent)) disk.dispose()
      })
    })

    test('a machine goes on from its memory in another thread', async () => {
      await create()
      await thread.engine.start(it())
      await readText(await serial(), 'A')
      await thread.engine.pause(it())
      const path = join(folder, 'memory')
      const header = await thread.engine.saveMemory({ ...it(), memory: memoryPlace(path) })
      expect(header).toMatchObject({ machine: spec.id, memoryMiB: 16, bytes: (await stat(path)).size })
      await thread.engine.powerOff(it())
      await thread.close()
      open()
      await create({}, path)
      await thread.engine.start(it())
      await seen('booted')
      const stream = await serial()
      await stream.write(utf8('on'))
      // Not "A" first: it did not start anew.
      expect(await readText(stream, 'on')).toBe('on')
    })

    test('a machine whose memory was saved goes on itself, too; one that is reset while it is paused begins anew when it goes on', async () => {
      await create()
      await thread.engine.start(it())
      const stream = await serial()
      await readText(stream, 'A')
      for (const text of ['once', 'twice']) {
        await thread.engine.pause(it())
        await thread.engine.saveMemory({ ...it(), memory: memoryPlace(join(folder, 'memory')) })
        await thread.engine.resume(it())
        await stream.write(utf8(text))
        expect(await readText(stream, text)).toBe(text)
      }
      await thread.engine.pause(it())
      await thread.engine.reset(it())
      await seen('rebooted')
      await thread.engine.resume(it())
      await readText(stream, 'A')
    })

    test('its memory is captured while it is paused and written while it runs again; a paused machine stays paused', async () => {
      await expect(create().then(() => thread.engine.captured(it()))).rejects.toMatchObject({ code: 'wrong-state' })
      await thread.engine.start(it())
      const stream = await serial()
      await readText(stream, 'A')
      const memory = (name: string): MemoryPlace => memoryPlace(join(folder, name))
      const order = { ...it(), memory: memory('first'), disks: [] }
      await expect(thread.engine.capture(order)).rejects.toMatchObject({ code: 'wrong-state' })
      await thread.engine.pause(it())
      await thread.engine.capture(order)
      await thread.engine.resume(it())
      await stream.write(utf8('ran on'))
      expect(await readText(stream, 'ran on')).toBe('ran on')
      expect(await thread.engine.captured(it())).toMatchObject({ machine: spec.id, bytes: (await stat(join(folder, 'first'))).size })
      await thread.engine.pause(it())
      events.length = 0
      await thread.engine.capture({ ...order, memory: memory('second') })
      await thread.engine.captured(it())
      await expect(thread.engine.pause(it())).rejects.toMatchObject({ code: 'wrong-state' })
      expect(events.map(({ kind }) => kind)).not.toContain('running')
      await thread.engine.powerOff(it())
      await thread.close()
      for (const name of ['first', 'second']) {
        open()
        await create({}, join(folder, name))
        await thread.engine.start(it())
        const other = await serial()
        await other.write(utf8(name))
        expect(await readText(other, name)).toBe(name)
        if (name === 'first') {
          await thread.engine.powerOff(it())
          await thread.close()
        }
      }
    })

    test('its console has what was printed before for everybody who comes, from where they left, and each port its own', async () => {
      await create()
      await thread.engine.start(it())
      const first = await serial()
      await readText(first, 'A')
      await first.write(utf8('first'))
      await readText(first, 'first')
      first.close()
      const all = await thread.engine.serial({ ...it(), port: 0, from: 0 })
      expect(all.opening).toEqual({ start: 0, end: 6 })
      expect(await readText(all.stream, 'first')).toBe('Afirst')
      const rest = await thread.engine.serial({ ...it(), port: 0, from: 3 })
      expect(await readText(rest.stream, 'rst')).toBe('rst')
      await rest.stream.write(utf8('!'))
      await Promise.all([readText(all.stream, '!'), readText(rest.stream, '!')])
      expect((await thread.engine.serial({ ...it(), port: 1, from: 0 })).opening).toEqual({ start: 0, end: 0 })
    })

    test('the power button is for guests that hear it; the plug is for all, whatever they do', async () => {
      await create()
      await expect(thread.engine.powerButton(it())).rejects.toMatchObject({ code: 'wrong-state' })
      await thread.engine.start(it())
      const stream = await serial()
      await readText(stream, 'A')
      await thread.engine.powerButton(it())
      await stream.write(utf8('deaf'))
      await readText(stream, 'deaf')
      await thread.engine.pause(it())
      await expect(thread.engine.powerButton(it())).rejects.toMatchObject({ code: 'wrong-state' })
      await thread.engine.powerOff(it())
      expect(events.map(({ kind }) => kind).filter((kind) => kind !== 'health')).toEqual(['running', 'paused', 'stopped'])

      // One that never ran, and the same machine again.
      events.length = 0
      await create()
      await thread.engine.powerOff(it())
      expect(events).toEqual([{ ...it(), kind: 'stopped', reason: 'powered-off' }])
      await create()
      await thread.engine.start(it())
      await readText(await serial(), 'A')
    })

    test('memory of another machine, or damaged, is refused with a reason', async () => {
      const path = join(folder, 'memory')
      await writeFile(path, 'not a memory state at all')
      await expect(create({}, path)).rejects.toMatchObject({ code: 'corrupt' })
      await expect(create({}, join(folder, 'none'))).rejects.toMatchObject({ code: 'not-found' })
    })

    test('what is not legal now is refused, and changes nothing', async () => {
      await create()
      const wrong = { code: 'wrong-state' }
      await expect(thread.engine.pause(it())).rejects.toMatchObject(wrong)
      await expect(thread.engine.saveMemory({ ...it(), memory: memoryPlace(join(folder, 'memory')) })).rejects.toMatchObject(wrong)
      await thread.engine.start(it())
      await expect(thread.engine.start(it())).rejects.toMatchObject(wrong)
      await expect(thread.engine.resume(it())).rejects.toMatchObject(wrong)
      await expect(thread.engine.saveMemory({ ...it(), memory: memoryPlace(join(folder, 'memory')) })).rejects.toMatchObject(wrong)
      await thread.engine.powerOff(it())
      await expect(thread.engine.reset(it())).rejects.toMatchObject(wrong)
      expect(events.map((event) => event.kind)).toEqual(['running', 'stopped'])
    })

    test('a machine or port that is not there is named so', async () => {
      await expect(thread.engine.start({ machine: newId() })).rejects.toMatchObject({ code: 'not-found' })
      await create()
      await expect(thread.engine.serial({ ...it(), port: 2, from: null })).rejects.toMatchObject({ code: 'not-found' })
    })

    test('a machine that cannot be built says which field, and the thread can build another', async () => {
      const { arches, maxDisks } = await thread.engine.describe({})
      const drives = Array.from({ length: maxDisks + 1 }, (_, at) => specDrive(`disk-${at}`, 'disk', { inserted: false, path: null }))
      await expect(create({ drives })).rejects.toMatchObject({ code: 'unsupported', details: { fields: [{ path: `drives.${maxDisks}` }] } })
      if (!arches.includes('x86_64')) await expect(create({ arch: 'x86_64' })).rejects.toMatchObject({ code: 'unsupported' })
      const empty = join(folder, 'empty')
      await writeFile(empty, '')
      await expect(create({ boot: { kind: 'kernel', kernel: empty, initrd: null, cmdline: '' } })).rejects.toMatchObject({
        code: 'corrupt',
        message: expect.stringContaining('is empty') as string,
      })
      await expect(create(engine.spec(join(folder, 'none'), folder))).rejects.toMatchObject({ code: 'not-found' })
      await create()
      await thread.engine.start(it())
      await readText(await serial(), 'A')
    })
  })
}
