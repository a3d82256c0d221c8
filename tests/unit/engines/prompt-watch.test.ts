import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { endsInPrompt, PromptWatch, QUIET_MS } from '../../../src-main/engines/prompt-watch.ts'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import { BOOT_COMPLETE_MARK } from '../../../src-shared/model/boot-mark.ts'

describe('prompts', () => {
  test.each(['\r\ndebian login: ', 'coppice:~# ', '\n# ', '\r\nuser@host:~$ ', '\n~ # \u001b[6n', '\u001b[?2004hroot@host:/# '])(
    '%j is one',
    (text) => expect(endsInPrompt(text)).toBe(true),
  )
  test.each(['[    1.234567] usb 1-1: new device #\r\n', 'login: root', 'Password: secret\r\n', '100%', 'price is 5$', ''])(
    '%j is none',
    (text) => expect(endsInPrompt(text)).toBe(false),
  )
})

describe('watching', () => {
  let watch: PromptWatch
  let seen = 0
  beforeEach(() => {
    vi.useFakeTimers()
    seen = 0
    watch = new PromptWatch()
    watch.onPrompt(() => seen++)
  })
  afterEach(() => {
    watch.dispose()
    vi.useRealTimers()
  })

  test('the mark is seen at once, in whatever pieces it comes, once', () => {
    watch.start()
    for (const byte of utf8(`hello${BOOT_COMPLETE_MARK}`)) watch.see(Uint8Array.of(byte))
    expect(seen).toBe(1)
    watch.see(utf8(BOOT_COMPLETE_MARK))
    expect(seen).toBe(1)
    watch.start()
    watch.see(utf8(BOOT_COMPLETE_MARK))
    expect(seen).toBe(2)
  })

  test('a prompt is believed when nothing follows it', () => {
    watch.start()
    watch.see(utf8('\r\nhost login: '))
    vi.advanceTimersByTime(QUIET_MS - 1)
    watch.see(utf8('and more'))
    vi.advanceTimersByTime(QUIET_MS * 2)
    expect(seen).toBe(0)
    watch.see(utf8('\r\nhost login: '))
    vi.advanceTimersByTime(QUIET_MS)
    expect(seen).toBe(1)
  })

  test('nothing is seen, and no timer runs, while nobody watches', () => {
    watch.see(utf8(`\n# ${BOOT_COMPLETE_MARK}`))
    expect(vi.getTimerCount()).toBe(0)
    expect(seen).toBe(0)
  })
})
