/** Serial consoles: the engine's stream joined to the client's while the machine runs, the kept log of the port while it does not. */
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { ConsoleOpening } from '../../../../src-shared/api/machines.ts'
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import { MAX_CHUNK, type ByteStream } from '../../../../src-shared/rpc/byte-stream.ts'
import { bundlePaths, refuseLinks } from '../../library/bundle.ts'
import type { Machine } from '../machine.ts'
import type { Session } from '../running/session.ts'

/**
 * @param stream the client's; it ends when the machine goes off, or at once after what was kept
 * @throws AppError `not-found` where the machine has no such port
 */
export async function openConsole(machine: Machine, port: number, from: number | null, stream: ByteStream): Promise<ConsoleOpening> {
  const ports = machine.bundle.config?.serialPorts ?? 0
  if (machine.bundle.config && port >= ports)
    throw new AppError('not-found', `“${machine.bundle.name}” has no serial port ${port}; it has ${ports}, counted from 0.`)
  const session = machine.session
  if (!session || session.end) return openKept(machine, port, from, stream)
  await session.race(session.built)
  const { opening, stream: engine } = await session.race(session.engine.serial({ machine: session.machine, port, from }))
  void joinStreams(engine, stream, session, 'Following the console')
  return { ...opening, live: true, life: session.life }
}

/** Types text; answers when the engine has it. */
export async function typeText(session: Session, port: number, text: string): Promise<void> {
  await session.race(session.built)
  const { stream } = await session.race(session.engine.serial({ machine: session.machine, port, from: Number.MAX_SAFE_INTEGER }))
  try {
    await stream.write(utf8(text))
  } finally {
    // What was sent before the close is still read there.
    stream.close()
  }
}

/**
 * Both directions at the slower one's pace, with no buffer of our own. A client that has no more to type keeps on reading; the client's stream
 * ends, without an error, when the machine's life does. `doing` begins the sentence about a failure: "Following the console". `send` carries what
 * the client sends; with `pipe` the engine's stream hears of its end.
 */
export async function joinStreams(engine: ByteStream, client: ByteStream, session: Session, doing: string, send = pump): Promise<void> {
  const gone = client.onClose(() => engine.close())
  if (client.closed) engine.close()
  void send(client, engine).catch(() => {})
  try {
    await pump(engine, client)
    client.close()
  } catch (error) {
    client.close(session.end || client.closed ? undefined : asAppError(error, doing))
  } finally {
    gone.dispose()
    engine.close()
  }
}

async function pump(from: ByteStream, to: ByteStream): Promise<void> {
  for (let bytes = await from.read(); bytes; bytes = await from.read()) await to.write(bytes)
}

async function openKept(machine: Machine, port: number, from: number | null, stream: ByteStream): Promise<ConsoleOpening> {
  const { logs } = bundlePaths(machine.bundle.folder)
  const path = join(logs, `serial${port}.log`)
  await refuseLinks([logs, path])
  const file = await open(path, 'r').catch(() => null)
  const stats = await file?.stat()
  if (!file || !stats?.isFile()) {
    await file?.close()
    stream.end()
    return { start: 0, end: 0, live: false, life: 'kept' }
  }
  const start = Math.min(from ?? 0, stats.size)
  void sendFile(file, start, stats.size, stream)
  return { start, end: stats.size, live: false, life: `kept ${stats.mtimeMs} ${stats.ino}` }
}

async function sendFile(file: FileHandle, start: number, size: number, stream: ByteStream): Promise<void> {
  try {
    const chunk = new Uint8Array(MAX_CHUNK)
    for (let at = start; at < size && !stream.closed;) {
      const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, size - at), at)
      if (bytesRead === 0) break
      await stream.write(chunk.subarray(0, bytesRead))
      at += bytesRead
    }
    stream.end()
  } catch (error) {
    if (!stream.closed) stream.close(asAppError(error, 'Reading the kept console output'))
  } finally {
    await file.close()
  }
}
