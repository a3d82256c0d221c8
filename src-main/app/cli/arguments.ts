/** Values of options and arguments, from text. Each throws commander's InvalidArgumentError (exit code 2) with a sentence. */
import { resolve } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { MiB, parseBytes } from '../../../src-shared/base/units.ts'
import { SERIAL_PORTS, type SharedFolder } from '../../../src-shared/model/machine.ts'
import { isNetworkAddress, parseNetworkDisk } from '../../../src-shared/model/network-disk.ts'
import { newDiskBytesSchema, type NewDisk } from '../../../src-shared/model/new-disk.ts'

/** "256M", "1G", "512 MiB"; a bare number is MiB, as QEMU reads -m. @returns MiB */
export function memoryArgument(text: string): number {
  const bytes = /^\s*\d+\s*$/.test(text) ? Number(text) * MiB : parseBytes(text)
  if (bytes === null || !Number.isSafeInteger(bytes))
    throw new InvalidArgumentError(`“${text}” is not an amount of memory. Write it as in 256M or 1G.`)
  return bytes / MiB
}

/** "2G", "512M". @returns bytes */
export function sizeArgument(text: string): number {
  const bytes = parseBytes(text)
  if (bytes === null) throw new InvalidArgumentError(`“${text}” is not a size. Write it as in 2G or 512M.`)
  return bytes
}

/** "20G", or "+5G" for so much more. */
export function newSizeArgument(text: string): { bytes: number; more: boolean } {
  const more = text.startsWith('+')
  return { bytes: sizeArgument(more ? text.slice(1) : text), more }
}

/** A whole number in `min … max`. */
export function wholeNumber(what: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : NaN
    if (!(value >= min && value <= max))
      throw new InvalidArgumentError(`“${text}” is not ${what}: give a whole number from ${min} to ${max}.`)
    return value
  }
}

/** A serial port of a machine, from 0. */
export const serialPortArgument = wholeNumber('a serial port', 0, SERIAL_PORTS.max - 1)

/** How many serial ports a machine has. */
export const serialPortsArgument = wholeNumber('a number of serial ports', SERIAL_PORTS.min, SERIAL_PORTS.max)

/** One of a few words. @param what "an engine" */
export function oneOf<const Word extends string>(what: string, words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const word = words.find((one) => one === text)
    if (word === undefined) throw new InvalidArgumentError(`“${text}” is not ${what}. Choose ${words.join(', ')}.`)
    return word
  }
}

/** Longest time that a timer of Node's can wait, s. */
const MAX_SECONDS = 2_000_000

/** Seconds, fractions allowed. @returns ms */
export function secondsArgument(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN
  if (!(seconds > 0 && seconds <= MAX_SECONDS)) throw new InvalidArgumentError(`“${text}” is not a number of seconds above 0.`)
  return seconds * 1000
}

/** A folder's path as it was given; an empty one (a variable that was not set) is not the current folder. */
export function folderArgument(text: string): string {
  if (text === '') throw new InvalidArgumentError('The folder’s path is empty.')
  return text
}

/** A file's path, from the folder that the command runs in. @returns absolute */
export function fileArgument(text: string): string {
  if (text === '') throw new InvalidArgumentError('The file’s path is empty.')
  return resolve(text)
}

/** A file's path, from the folder that the command runs in, or an address of a disk on the network. @returns absolute */
export function diskArgument(text: string): string {
  const address = isNetworkAddress(text) ? parseNetworkDisk(text) : null
  if (typeof address === 'string') throw new InvalidArgumentError(address)
  return address ? text : fileArgument(text)
}

/** "20G" is a new disk, all else an image: a file that is called so is written ./20G. */
export function newDiskArgument(text: string): NewDisk {
  const bytes = parseBytes(text)
  if (bytes === null) return { kind: 'file', path: diskArgument(text) }
  const parsed = newDiskBytesSchema.safeParse(bytes)
  if (!parsed.success) throw new InvalidArgumentError(parsed.error.issues[0]!.message)
  return { kind: 'new', bytes }
}

export function addNewDisk(text: string, before: readonly NewDisk[] = []): NewDisk[] {
  return [...before, newDiskArgument(text)]
}

/** An address to listen on; an empty one (a variable that was not set) would be every address of this computer. */
export function addressArgument(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('The address is empty: give one, as in 127.0.0.1.')
  return text
}

/** "docs:/srv/docs", "work:/srv/work:rw". Without a folder, its path is empty. */
export function shareArgument(text: string): SharedFolder {
  const [, tag, path, writable] = /^([^:]*):?(.*?)(:rw)?$/s.exec(text)!
  return { tag: tag!, path: path === '' ? '' : resolve(path!), readOnly: writable === undefined }
}

/** A JavaScript regular expression; `^` and `$` stand for a line's beginning and end. */
export function patternArgument(text: string): RegExp {
  try {
    return new RegExp(text, 'gm')
  } catch (error) {
    throw new InvalidArgumentError(`“${text}” is not a regular expression: ${(error as Error).message}`)
  }
}
