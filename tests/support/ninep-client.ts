/** The guest's half of 9P2000.L, as far as tests need it: requests by number and fields, answers taken apart. */
import { NinepServer } from '../../src-main/engines/ninep/server.ts'
import type { FileTree } from '../../src-main/engines/ninep/file-tree.ts'

/** A number with its width in bytes, a string, or bytes behind their 32-bit length. */
export type Field = readonly [value: number | bigint, width: 1 | 2 | 4 | 8] | string | Uint8Array

export const u8 = (value: number): Field => [value, 1]
export const u16 = (value: number): Field => [value, 2]
export const u32 = (value: number): Field => [value, 4]
export const u64 = (value: number | bigint): Field => [value, 8]

export function message(type: number, tag: number, ...fields: Field[]): Uint8Array {
  const parts: Buffer[] = fields.map((field) => {
    if (typeof field === 'string') return Buffer.concat([number(Buffer.byteLength(field), 2), Buffer.from(field)])
    if (field instanceof Uint8Array) return Buffer.concat([number(field.length, 4), field])
    return number(...field)
  })
  const body = Buffer.concat([number(type, 1), number(tag, 2), ...parts])
  return new Uint8Array(Buffer.concat([number(body.length + 4, 4), body]))
}

function number(value: number | bigint, width: 1 | 2 | 4 | 8): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)))
  return bytes.subarray(0, width)
}

/** Rlerror. */
export class NinepError extends Error {
  readonly errno: number

  constructor(errno: number) {
    super(`errno ${errno}`)
    this.errno = errno
  }
}

export interface Entry {
  name: string
  type: number
  offset: number
}

export class NinepClient {
  readonly server: NinepServer
  #fid = 100
  #tag = 0

  private constructor(server: NinepServer) {
    this.server = server
  }

  /** With fid 0 on the root. */
  static async attach(tree: FileTree, readOnly = false): Promise<NinepClient> {
    const client = new NinepClient(new NinepServer(tree, { readOnly }))
    await client.ask(100, u32(65536), '9P2000.L')
    await client.ask(104, u32(0), u32(0xffffffff), 'root', '', u32(0))
    return client
  }

  /** @returns the answer's fields. @throws NinepError */
  async ask(type: number, ...fields: Field[]): Promise<DataView<ArrayBuffer>> {
    const tag = this.#tag++ & 0xffff
    const reply = await this.server.handle(message(type, tag, ...fields))
    const view = new DataView(reply.buffer, reply.byteOffset, reply.byteLength)
    if (view.getUint32(0, true) !== reply.length || view.getUint16(5, true) !== tag) throw new Error('Not an answer to this.')
    if (reply[4] === 7) throw new NinepError(view.getUint32(7, true))
    if (reply[4] !== type + 1) throw new Error(`Answer ${reply[4]} to request ${type}`)
    return new DataView(reply.buffer, reply.byteOffset + 7, reply.byteLength - 7)
  }

  /** A new fid for what these names lead to. @throws NinepError, ENOENT also where only some of them do */
  async walk(...names: string[]): Promise<number> {
    const fid = this.#fid++
    const answer = await this.ask(110, u32(0), u32(fid), u16(names.length), ...names)
    if (answer.getUint16(0, true) !== names.length) throw new NinepError(2)
    return fid
  }

  async open(flags: number, ...names: string[]): Promise<number> {
    const fid = await this.walk(...names)
    await this.ask(12, u32(fid), u32(flags))
    return fid
  }

  async create(name: string, ...folder: string[]): Promise<number> {
    const fid = await this.walk(...folder)
    await this.ask(14, u32(fid), name, u32(0o102), u32(0o7777), u32(0))
    return fid
  }

  async read(fid: number, offset: number, count: number): Promise<Buffer> {
    const answer = await this.ask(116, u32(fid), u64(offset), u32(count))
    return Buffer.from(answer.buffer, answer.byteOffset + 4, answer.getUint32(0, true))
  }

  async write(fid: number, offset: number, data: Uint8Array): Promise<number> {
    return (await this.ask(118, u32(fid), u64(offset), data)).getUint32(0, true)
  }

  async text(...names: string[]): Promise<string> {
    const fid = await this.open(0, ...names)
    return (await this.read(fid, 0, 65000)).toString()
  }

  async attributes(fid: number): Promise<{ mode: number; uid: number; bytes: number; rdev: bigint }> {
    const answer = await this.ask(24, u32(fid), u64(0x7ff))
    const at = 8 + 13
    return {
      mode: answer.getUint32(at, true),
      uid: answer.getUint32(at + 4, true),
      rdev: answer.getBigUint64(at + 20, true),
      bytes: Number(answer.getBigUint64(at + 28, true)),
    }
  }

  /** One Treaddir. */
  async entries(fid: number, offset: number, count: number): Promise<Entry[]> {
    const answer = await this.ask(40, u32(fid), u64(offset), u32(count))
    const end = 4 + answer.getUint32(0, true)
    const found: Entry[] = []
    for (let at = 4; at < end;) {
      const length = answer.getUint16(at + 22, true)
      const name = Buffer.from(answer.buffer, answer.byteOffset + at + 24, length).toString()
      found.push({ name, offset: Number(answer.getBigUint64(at + 13, true)), type: answer.getUint8(at + 21) })
      at += 24 + length
    }
    return found
  }
}

/** The number of the Rlerror that it ends with. */
export async function errnoFrom(work: Promise<unknown>): Promise<number | null> {
  try {
    await work
    return null
  } catch (error) {
    if (error instanceof NinepError) return error.errno
    throw error
  }
}
