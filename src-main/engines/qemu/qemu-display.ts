/** The screen of a QEMU machine: its VNC server, each viewer over a connection of its own. QEMU's bytes are passed on as they are. */
import { readFile, rm } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import { MAX_CHUNK, type ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import type { DisplaySource } from '../engine.ts'
import type { Endpoint } from './arguments/runtime.ts'
import type { QmpClient } from './qmp/qmp-client.ts'
import { connectOnce } from './supervise/endpoint.ts'

export class QemuDisplay implements DisplaySource {
  #endpoint: Endpoint
  #qmp: QmpClient
  #folder: string
  #pictures = 0

  /** @param folder private; a picture lies there for a moment */
  constructor(endpoint: Endpoint, qmp: QmpClient, folder: string) {
    this.#endpoint = endpoint
    this.#qmp = qmp
    this.#folder = folder
  }

  attach(stream: ByteStream): void {
    void connectOnce(this.#endpoint).then(
      (socket) => relay(socket, stream),
      (error: unknown) => stream.close(asAppError(error, 'Connecting to the machine’s screen')),
    )
  }

  async screenshot(): Promise<Uint8Array<ArrayBuffer>> {
    const path = join(this.#folder, `screen${this.#pictures++}.png`)
    try {
      await this.#qmp.execute('screendump', { filename: path, format: 'png' })
      return new Uint8Array(await readFile(path))
    } finally {
      await rm(path, { force: true })
    }
  }
}

/** Both directions at the slower end's pace; either end's end ends both. */
function relay(socket: Socket, stream: ByteStream): void {
  const closing = stream.onClose(() => socket.destroy())
  socket.on('error', () => {})
  socket.once('close', () => {
    closing.dispose()
    stream.close()
  })
  if (stream.closed) return void socket.destroy()
  void toStream(socket, stream)
  void toSocket(stream, socket)
}

async function toStream(socket: Socket, stream: ByteStream): Promise<void> {
  try {
    for await (const bytes of socket as AsyncIterable<Uint8Array>)
      for (let at = 0; at < bytes.length; at += MAX_CHUNK) await stream.write(bytes.subarray(at, at + MAX_CHUNK))
  } catch {
    // One of the two is gone, and 'close' ends the other.
  } finally {
    socket.destroy()
  }
}

async function toSocket(stream: ByteStream, socket: Socket): Promise<void> {
  try {
    for await (const bytes of stream)
      if (!socket.write(bytes)) await new Promise<void>((resolve) => socket.once('drain', resolve).once('close', () => resolve()))
  } catch {
    // As above.
  } finally {
    socket.destroy()
  }
}
