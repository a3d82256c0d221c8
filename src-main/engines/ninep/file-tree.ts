/** What the server shares: a tree of files. One back end, the folders of this computer (host-folder.ts). */

/** Names from the root down; none: the root itself. Each is one that names.ts lets through. */
export type Path = readonly string[]

/** Times are Unix nanoseconds. */
export interface Attributes {
  /** Type and permissions (POSIX st_mode); no set-id and no sticky bits. */
  mode: number
  /** The same for one file for as long as it exists; differs between files. */
  id: bigint
  links: bigint
  bytes: bigint
  blockBytes: bigint
  /** Of 512 bytes. */
  blocks: bigint
  accessed: bigint
  modified: bigint
  changed: bigint
}

/** POSIX st_mode. */
export const MODE = { type: 0o170000, folder: 0o040000, file: 0o100000, link: 0o120000, permissions: 0o777 } as const

export interface OpenWish {
  read: boolean
  write: boolean
  truncate: boolean
  /** Writes go to the end, wherever they say. */
  append: boolean
}

export interface OpenFile {
  /** @returns how many bytes; 0 at the end */
  read(into: Uint8Array, offset: number): Promise<number>
  write(bytes: Uint8Array, offset: number): Promise<number>
  truncate(bytes: number): Promise<void>
  sync(): Promise<void>
  attributes(): Promise<Attributes>
  close(): Promise<void>
}

export interface FolderEntry {
  /** UTF-8. */
  name: Uint8Array
  attributes: Attributes
}

/** A folder's entries, without "." and "..", one after the other. */
export interface FolderReader {
  /** Null at the end. */
  next(): Promise<FolderEntry | null>
  close(): Promise<void>
}

export interface Change {
  mode?: number
  /** A file's new length. */
  bytes?: number
  /** Unix seconds. */
  accessed?: number
  modified?: number
}

/** In file systems' words. */
export interface Space {
  blockBytes: bigint
  blocks: bigint
  freeBlocks: bigint
  availableBlocks: bigint
  files: bigint
  freeFiles: bigint
}

/** Every call fails with a Refusal or a system error. No call follows a symbolic link, neither at a path's end nor on the way. */
export interface FileTree {
  attributes(path: Path): Promise<Attributes>
  open(path: Path, wish: OpenWish): Promise<OpenFile>
  /** A new file. */
  create(path: Path, mode: number, wish: OpenWish): Promise<OpenFile>
  list(path: Path): Promise<FolderReader>
  readLink(path: Path): Promise<string>
  makeFolder(path: Path, mode: number): Promise<void>
  /** Another name for a file. */
  link(from: Path, to: Path): Promise<void>
  rename(from: Path, to: Path): Promise<void>
  remove(path: Path, what: 'file' | 'folder'): Promise<void>
  change(path: Path, change: Change): Promise<void>
  space(): Promise<Space>
  /** Nothing of it is used any more. */
  close(): void
}
