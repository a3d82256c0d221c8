import { mkdir, readdir, readFile, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { createLog, LOG_FILE, logLine, MAX_LOG_BYTES, OLD_LOG_FILE } from '../../../../src-main/host/log/log.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

describe('log', () => {
  test('an entry is in the file when the call returns', async () => {
    const folder = join(await tempFolder(), 'logs')
    const log = createLog(folder, '')
    log.warn('library', 'A bundle is broken.', { bundle: '/x' })
    expect(await readFile(join(folder, LOG_FILE), 'utf8')).toMatch(/^\d{4}-\S+Z warn library: A bundle is broken\. \{"bundle":"\/x"\}\n$/)
    log.dispose()
  })

  test('goes on at the end of the file of the last run', async () => {
    const folder = await tempFolder()
    for (const text of ['first', 'second']) {
      const log = createLog(folder, '')
      log.info('a', text)
      log.dispose()
    }
    expect((await readFile(join(folder, LOG_FILE), 'utf8')).trim().split('\n')).toHaveLength(2)
  })

  test('never takes more than twice its limit', async () => {
    const folder = await tempFolder()
    const log = createLog(folder, '')
    const text = 'x'.repeat(10_000)
    for (let written = 0; written < 3 * MAX_LOG_BYTES; written += text.length) log.info('a', text)
    log.info('a', 'the last line')
    log.dispose()
    expect((await readdir(folder)).sort()).toEqual([OLD_LOG_FILE, LOG_FILE].sort())
    for (const name of [LOG_FILE, OLD_LOG_FILE]) expect((await stat(join(folder, name))).size).toBeLessThanOrEqual(MAX_LOG_BYTES)
    expect(await readFile(join(folder, LOG_FILE), 'utf8')).toContain('the last line')
  })

  test('goes on after it could not be put aside', async () => {
    const folder = await tempFolder()
    const log = createLog(folder, '')
    const inTheWay = join(folder, OLD_LOG_FILE)
    await mkdir(inTheWay)
    const text = 'x'.repeat(10_000)
    for (let written = 0; written < 1.5 * MAX_LOG_BYTES; written += text.length) log.info('a', text)
    await rmdir(inTheWay)
    log.info('a', 'one')
    log.info('a', 'the last line')
    log.dispose()
    expect(await readFile(join(folder, LOG_FILE), 'utf8')).toContain('the last line')
  })

  test('the least level is set for each area', async () => {
    const folder = await tempFolder()
    const log = createLog(folder, 'library=error, machines=off')
    log.info('library', 'one')
    log.error('library', 'two')
    log.error('machines', 'three')
    log.info('tasks', 'four')
    log.dispose()
    const text = await readFile(join(folder, LOG_FILE), 'utf8')
    expect(['one', 'two', 'three', 'four'].map((word) => text.includes(word))).toEqual([false, true, false, true])
  })

  test('prints on stderr when asked, without any folder', () => {
    const print = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    const log = createLog(null, 'stderr')
    log.info('a', 'hello')
    expect(print).toHaveBeenCalledWith(expect.stringMatching(/ info a: hello\n$/))
    print.mockRestore()
    log.dispose()
  })

  test('a folder that cannot be made does not stop anything', () => {
    const log = createLog('/dev/null/logs', '')
    expect(() => log.error('a', 'text')).not.toThrow()
    log.dispose()
  })

  test('what hostile names contain stays one line and cannot steer a terminal', () => {
    const line = logLine(new Date(0), 'info', 'a', 'x\n2026 error fake\u001b[2J\u2028\u0085', { name: '\u0007' })
    // eslint-disable-next-line no-control-regex -- finding control characters is the point
    expect(line.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
    expect(line).toContain('x\\n2026')
  })

  test('an error is written with its cause, a long entry is cut', () => {
    const error = new AppError('io', 'Sentence.', {}, new Error('the cause'))
    expect(logLine(new Date(0), 'error', 'a', 'failed', { error })).toContain('the cause')
    expect(logLine(new Date(0), 'info', 'a', 'x'.repeat(1e6)).length).toBeLessThan(20_000)
  })
})
