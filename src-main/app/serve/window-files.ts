/**
 * The window's files. The folder is read once, into a fixed list from URL path to file: a request only ever picks from the list, so that no
 * path in a request can lead anywhere else.
 */
import { createHash } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '../../../src-shared/errors/app-error.ts'

export interface WindowFile {
  bytes: Buffer<ArrayBuffer>
  type: string
  etag: string
  /** Its name carries a hash of its content: it never changes under this name. */
  immutable: boolean
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
  '.txt': 'text/plain; charset=utf-8',
}

/** Vite's names for built assets: assets/name-<8 characters of hash>.ext */
const HASHED = /^assets\/.*-[A-Za-z0-9_-]{8}\.[a-z0-9]+$/

/** More than this is not the window we built. Bytes. */
const MAX_TOTAL = 64 * 1024 * 1024

export type WindowFiles = ReadonlyMap<string, WindowFile>

/**
 * @param folder out/renderer
 * @returns by URL path ("/", "/assets/index-x.js"); files of unknown kinds (source maps) are left out
 * @throws AppError `unavailable` when the window was not built
 */
export async function readWindowFiles(folder: string): Promise<WindowFiles> {
  const files = new Map<string, WindowFile>()
  let total = 0
  for (const entry of await list(folder)) {
    const type = TYPES[path.extname(entry.name)]
    if (!entry.isFile() || type === undefined) continue
    const file = path.join(entry.parentPath, entry.name)
    const relative = path.relative(folder, file).split(path.sep).join('/')
    const bytes = await readFile(file)
    total += bytes.length
    if (total > MAX_TOTAL)
      throw new AppError('corrupt', `The window’s folder ${folder} holds more than a window: build it again.`, { subject: folder })
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
    files.set(`/${relative}`, { bytes, type, etag, immutable: HASHED.test(relative) })
  }
  const index = files.get('/index.html')
  if (!index) throw new AppError('unavailable', `The window is not built: ${folder} has no index.html. Run: npm start`, { subject: folder })
  files.set('/', index)
  return files
}

async function list(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { recursive: true, withFileTypes: true })
  } catch (error) {
    throw new AppError('unavailable', `The window is not built: ${folder} cannot be read. Run: npm start`, { subject: folder }, error)
  }
}
