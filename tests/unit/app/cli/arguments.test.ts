import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  fileArgument,
  memoryArgument,
  newSizeArgument,
  patternArgument,
  secondsArgument,
  shareArgument,
  sizeArgument,
  wholeNumber,
} from '../../../../src-main/app/cli/arguments.ts'
import { unescapeText } from '../../../../src-main/app/cli/escapes.ts'

describe('arguments', () => {
  it('reads memory in MiB, a bare number too', () => {
    expect(memoryArgument('256M')).toBe(256)
    expect(memoryArgument('1G')).toBe(1024)
    expect(memoryArgument('512')).toBe(512)
    expect(memoryArgument('9999999M')).toBe(9_999_999)
    expect(memoryArgument('1000k')).toBeCloseTo(0.977, 3)
    for (const wrong of ['', 'lots', '-1', '1e3', '256X']) expect(() => memoryArgument(wrong)).toThrow(/is not an amount of memory/)
  })

  it('reads sizes in bytes', () => {
    expect(sizeArgument('2G')).toBe(2 * 1024 ** 3)
    expect(() => sizeArgument('big')).toThrow('“big” is not a size.')
  })

  it('reads sizes that are relative to what is there', () => {
    expect(newSizeArgument('1.5T')).toEqual({ bytes: 1.5 * 1024 ** 4, more: false })
    expect(newSizeArgument('+512M')).toEqual({ bytes: 512 * 1024 ** 2, more: true })
    for (const wrong of ['+', '-1G', '++1G', '+x']) expect(() => newSizeArgument(wrong)).toThrow('is not a size.')
  })

  it('reads files from the folder that the command runs in', () => {
    expect(fileArgument('a.img')).toBe(join(process.cwd(), 'a.img'))
    expect(fileArgument('/b/../a.img')).toBe('/a.img')
    expect(() => fileArgument('')).toThrow('The file’s path is empty.')
  })

  it('reads whole numbers within their limits', () => {
    const port = wholeNumber('a port', 0, 65535)
    expect(port('0')).toBe(0)
    expect(port('65535')).toBe(65535)
    for (const wrong of ['65536', '-1', '1.5', '', 'x'])
      expect(() => port(wrong)).toThrow(`“${wrong}” is not a port: give a whole number from 0 to 65535.`)
  })

  it('reads seconds as ms', () => {
    expect(secondsArgument('30')).toBe(30_000)
    expect(secondsArgument('0.5')).toBe(500)
    for (const wrong of ['0', '-1', 'soon', '99999999']) expect(() => secondsArgument(wrong)).toThrow(/is not a number of seconds/)
  })

  it('reads shared folders, read-only unless they say otherwise', () => {
    expect(shareArgument('docs:/srv/a:b')).toEqual({ tag: 'docs', path: '/srv/a:b', readOnly: true })
    expect(shareArgument('work:/srv/work:rw')).toEqual({ tag: 'work', path: '/srv/work', readOnly: false })
    expect(shareArgument('here:sub').path).toBe(join(process.cwd(), 'sub'))
    for (const text of ['docs', 'docs:']) expect(shareArgument(text)).toEqual({ tag: 'docs', path: '', readOnly: true })
  })

  it('reads regular expressions line by line', () => {
    expect(patternArgument('^42').flags).toBe('gm')
    expect(() => patternArgument('(')).toThrow('“(” is not a regular expression')
  })
})

describe('unescapeText', () => {
  it('replaces what it knows and leaves the rest', () => {
    expect(unescapeText('ls\\n')).toBe('ls\n')
    expect(unescapeText('\\e[A\\t\\x03\\r')).toBe('\u001b[A\t\u0003\r')
    expect(unescapeText('C:\\\\new \\d \\x4 end\\')).toBe('C:\\new \\d \\x4 end\\')
  })
})
