/** A machine's screen for VNC viewers: over real sockets, with a viewer of our own and one of Debian's. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { MachineView } from '../../../src-shared/api/machines.ts'
import { concatBytes } from '../../../src-shared/base/bytes.ts'
import { LOG_FILE } from '../../../src-main/host/log/log.ts'
import { FIRMWARE_FILES } from '../../../src-main/host/machines/running/firmware.ts'
import { encryptChallenge } from '../../../src-main/host/vnc/auth.ts'
import { SocketStream } from '../../../src-main/host/vnc/socket-stream.ts'
import { MAX_GREETING } from '../../../src-main/host/vnc/vnc-server.ts'
import { echoBios } from '../../support/echo-bios.ts'
import { decodePng } from '../../support/png.ts'
import { QEMU_PROGRAM } from '../../support/qemu-program.ts'
import { DESKTOP_SIZE, RAW, RfbClient, type Viewing } from '../../support/rfb-client.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { put } from './support/fake-files.ts'
import { testHost, type TestHost } from './support/test-host.ts'

const RED = new Uint32Array(6).fill(0xff0000ff)
const PASSWORD = 'secret12'
/** What this viewer reads of every server. */
const RAW_ONLY = [RAW, DESKTOP_SIZE]

async function share(host: TestHost, id: string, port: number | null = null, password = PASSWORD): Promise<MachineView> {
  await host.machines.setVncPassword({ id, password })
  return host.machines.update({ id, patch: { vncExport: { enabled: true, port } } })
}

async function portOf(host: TestHost, id: string): Promise<number> {
  const { vnc } = await host.until(id, (view) => view.vnc !== null)
  expect(vnc!.problem).toBeNull()
  expect(vnc!.address).toMatch(/^127\.0\.0\.1:\d+$/)
  return Number(vnc!.address!.split(':')[1])
}

async function dial(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return socket
}

async function view(port: number, password = PASSWORD, more: Viewing = {}): Promise<RfbClient> {
  const answer = (challenge: Uint8Array): Uint8Array => encryptChallenge(password, challenge)
  return RfbClient.open(new SocketStream(await dial(port)), { answer, ...more })
}

const ended = (socket: Socket): Promise<unknown> => new Promise((resolve) => socket.resume().once('close', resolve))

test('is off until it is asked for, needs a password, and goes on and off while the machine runs', async () => {
  const host = await testHost()
  const id = await host.make('a')
  await host.machines.start({ id })
  expect(await host.machines.get({ id })).toMatchObject({ vnc: null, config: { vncExport: { enabled: false, port: null } } })
  expect(await host.machines.vncPassword({ id })).toEqual({ password: null })
  await expect(host.machines.update({ id, patch: { vncExport: { enabled: true, port: null } } })).rejects.toMatchObject({
    code: 'invalid-input',
    details: { fields: [{ path: 'vncExport', message: 'Set a VNC password first: a screen is never offered without one.' }] },
  })
  await share(host, id)
  expect(await host.machines.vncPassword({ id })).toEqual({ password: PASSWORD })
  const port = await portOf(host, id)
  const viewers = [
    await view(port),
    await view(port, PASSWORD, { version: 'RFB 003.003\n' }),
    await view(port, PASSWORD, { version: 'RFB 003.007\n' }),
  ]
  for (const viewer of viewers) {
    await viewer.update(false)
    expect(viewer).toMatchObject({ width: 3, height: 2, name: 'a', pixels: RED })
  }
  await host.machines.update({ id, patch: { vncExport: { enabled: false, port: null } } })
  for (const viewer of viewers) await expect(viewer.update(false)).rejects.toThrow()
  await expect(dial(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  expect((await host.machines.get({ id })).vnc).toBeNull()
})

test('begins with the machine, at the port that was chosen, and ends with it', async () => {
  const host = await testHost()
  const id = await host.make('a')
  const port = await freePort()
  expect((await share(host, id, port)).vnc).toBeNull()
  for (let life = 0; life < 2; life++) {
    await host.machines.start({ id })
    expect(await portOf(host, id)).toBe(port)
    const viewer = await view(port)
    await viewer.update(false)
    await host.machines.powerOff({ id })
    await expect(viewer.update(false)).rejects.toThrow()
    await expect(dial(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect((await host.machines.get({ id })).vnc).toBeNull()
  }
})

test('a port that is taken is told at the machine, which runs on; once free it is taken when asked for again', async () => {
  const host = await testHost()
  const id = await host.make('a')
  const squatter = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => squatter.once('listening', resolve))
  const { port } = squatter.address() as { port: number }
  await share(host, id, port)
  await host.machines.start({ id })
  const told = await host.until(id, ({ vnc }) => vnc !== null)
  const message = `Port ${port} is used by another program. Choose another port for VNC viewers of “a”, or any free one.`
  expect(told).toMatchObject({ state: 'running', lastError: null, vnc: { address: null, problem: { code: 'unavailable', message } } })
  await new Promise((resolve) => squatter.close(resolve))
  await host.machines.update({ id, patch: { vncExport: { enabled: true, port } } })
  await host.until(id, ({ vnc }) => vnc?.address === `127.0.0.1:${port}`)
  await (await view(port)).update(false)
})

test('wrong passwords are refused, and after five of them everybody for a while', async () => {
  const logFolder = await tempFolder()
  const host = await testHost({ logFolder })
  const id = await host.make('a')
  await share(host, id)
  await host.machines.start({ id })
  const port = await portOf(host, id)
  for (let tries = 0; tries < 5; tries++) await expect(view(port, 'guess123')).rejects.toThrow('The password is wrong.')
  for (const password of ['guess123', PASSWORD])
    await expect(view(port, password)).rejects.toThrow(/^Too many wrong passwords\. Try again in \d+ s\.$/)
  expect(await host.machines.get({ id })).toMatchObject({ state: 'running' })
  await host.host.close()
  const log = await readFile(join(logFolder, LOG_FILE), 'utf8')
  expect(log).toContain('A VNC viewer gave a wrong password.')
  for (const secret of [PASSWORD, 'guess123']) expect(log).not.toContain(secret)
})

test('who says nothing holds a few places only, and nobody else up', async () => {
  const host = await testHost()
  const id = await host.make('a')
  await share(host, id)
  await host.machines.start({ id })
  const port = await portOf(host, id)
  const first = await view(port)
  const silent: Socket[] = []
  for (let n = 0; n < MAX_GREETING; n++) {
    const socket = await dial(port)
    await new Promise((resolve) => socket.once('data', resolve))
    silent.push(socket)
  }
  await ended(await dial(port))
  await first.update(false)
  silent[0]!.destroy()
  await expect.poll(async () => (await view(port).catch(() => null)) !== null).toBe(true)
  // What is no viewer at all.
  silent[1]!.write('GET / HTTP/1.1\r\n\r\n')
  await ended(silent[1]!)
})

test('a new password disconnects those who look, and a copy of the machine has none', async () => {
  const host = await testHost()
  const id = await host.make('a')
  await share(host, id)
  await host.machines.start({ id })
  const port = await portOf(host, id)
  const viewer = await view(port)
  await host.machines.setVncPassword({ id, password: 'another1' })
  await expect(viewer.update(false)).rejects.toThrow()
  await expect(view(port)).rejects.toThrow('The password is wrong.')
  await (await view(port, 'another1')).update(false)
  await host.machines.powerOff({ id })
  const copy = (await host.done(host.machines.duplicate({ id, name: 'b' }))).result!.id!
  expect(await host.machines.get({ id: copy })).toMatchObject({ config: { vncExport: { enabled: false, port: null } } })
  expect(await host.machines.vncPassword({ id: copy })).toEqual({ password: null })
})

test('the password is in its file alone, and nobody else can read that', async () => {
  const host = await testHost()
  const id = await host.make('a')
  const { bundle } = await share(host, id)
  if (process.platform !== 'win32') expect((await stat(join(bundle, 'vnc-password'))).mode & 0o777).toBe(0o600)
  await host.machines.start({ id })
  await portOf(host, id)
  expect(JSON.stringify(await host.machines.list({}))).not.toContain(PASSWORD)
  expect(await readFile(join(bundle, 'machine.json'), 'utf8')).not.toContain(PASSWORD)
  await expect(host.machines.setVncPassword({ id, password: 'muchtoolong' })).rejects.toMatchObject({
    code: 'invalid-input',
    details: { fields: [{ path: 'password', message: 'A VNC password has at most 8 characters: viewers leave out the rest.' }] },
  })
})

const program = (name: string): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path))
const VNCSNAPSHOT = program('vncsnapshot')
const why = VNCSNAPSHOT ? '' : ' (skipped: this computer has no vncsnapshot)'

describe('the real engines', () => {
  const engines = [
    ['embedded', true],
    ['qemu', QEMU_PROGRAM !== undefined],
  ] as const
  for (const [engine, there] of engines)
    describe.skipIf(!there)(there ? engine : `${engine} (skipped: this computer has no qemu-system-x86_64)`, () => {
      test('a viewer sees what Coppice’s own picture shows', async () => {
        const { host, id } = await realMachine(engine)
        const port = await portOf(host, id)
        const other = await view(port, PASSWORD, { encodings: RAW_ONLY })
        // As many viewers do unless they are told otherwise; it disturbs nobody.
        const viewer = await view(port, PASSWORD, { encodings: RAW_ONLY, shared: false })
        await other.update(false)
        // Between the two pictures a cursor may blink.
        await expect
          .poll(
            async () => {
              await viewer.update(false)
              const parts: Uint8Array[] = []
              for await (const bytes of (await host.machines.screenshot({ id })).stream) parts.push(bytes)
              const picture = decodePng(concatBytes(parts))
              const same = Buffer.compare(Buffer.from(viewer.pixels.buffer), Buffer.from(picture.pixels.buffer)) === 0
              return same && viewer.width === picture.width && viewer.height === picture.height
            },
            { timeout: 20_000 },
          )
          .toBe(true)
      })

      test.skipIf(!VNCSNAPSHOT)(`vncsnapshot${why} takes a picture with the password, and none with another`, async () => {
        const { host, id } = await realMachine(engine)
        const port = await portOf(host, id)
        const { width, height } = await settled(await view(port, PASSWORD, { encodings: RAW_ONLY }))
        const snapshot = async (password: string): Promise<string> => {
          const folder = await tempFolder()
          const secret = join(folder, 'passwd')
          await writeFile(secret, obfuscated(password))
          const target = join(folder, 'screen.jpg')
          await promisify(execFile)(VNCSNAPSHOT!, ['-passwd', secret, '-allowblank', '-quality', '90', `127.0.0.1:${port - 5900}`, target])
          return target
        }
        expect(jpegSize(await readFile(await snapshot(PASSWORD)))).toEqual({ width, height })
        await expect(snapshot('guess123')).rejects.toMatchObject({ code: 1 })
      })
    })
})

/** A machine whose BIOS gives back what is typed, exported. */
async function realMachine(engine: 'embedded' | 'qemu'): Promise<{ host: TestHost; id: string }> {
  const resources = await tempFolder()
  await put(join(resources, 'firmware', FIRMWARE_FILES.bios), echoBios())
  await put(join(resources, 'firmware', FIRMWARE_FILES.vgaBios), new Uint8Array(512))
  const host = await testHost({ resources, doubles: {} })
  const path = await put(join(await tempFolder(), 'd.img'), new Uint8Array(64 * 1024))
  const { result } = await host.done(host.machines.create({ name: 'a', source: { kind: 'disk', path }, memoryMiB: 32, engine }))
  const id = result!.id!
  await share(host, id)
  await host.machines.start({ id })
  return { host, id }
}

/** The picture when it has not changed for a moment. */
async function settled(viewer: RfbClient): Promise<{ width: number; height: number; pixels: Uint32Array }> {
  await viewer.update(false)
  let before: Uint32Array
  do {
    before = viewer.pixels.slice()
    await new Promise((resolve) => setTimeout(resolve, 500))
    await viewer.update(false)
  } while (Buffer.compare(Buffer.from(before.buffer), Buffer.from(viewer.pixels.buffer)) !== 0)
  return viewer
}

/** As vncpasswd stores it: encrypted with a key that everybody knows. */
function obfuscated(password: string): Uint8Array {
  return encryptChallenge(String.fromCharCode(23, 82, 107, 6, 35, 78, 88, 7), Buffer.from(password.padEnd(8, '\0'), 'latin1'))
}

/** ITU-T T.81, B.2.2: the frame header of a baseline picture. */
function jpegSize(bytes: Buffer): { width: number; height: number } {
  let at = 2
  while (bytes[at + 1] !== 0xc0) at += 2 + bytes.readUInt16BE(at + 2)
  return { height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7) }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
