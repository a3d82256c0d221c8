/** A machine's screen in a page, read as a person would: by its picture. */
import { expect, type Locator, type Page } from '@playwright/test'
import { typingOf } from '../../../src-renderer/display/type-text.ts'
import type { ScreenReader } from '../../guest/support/screen-text.ts'

export class DisplayView {
  readonly #page: Page
  readonly #reader: ScreenReader
  readonly root: Locator
  /** What has the focus and the keys. */
  readonly picture: Locator

  constructor(page: Page, machine: string, reader: ScreenReader) {
    this.#page = page
    this.#reader = reader
    this.root = page.getByRole('region', { name: `Display of ${machine}` })
    this.picture = page.getByRole('application', { name: `Screen of ${machine}` })
  }

  tool(name: string): Locator {
    return this.root.getByRole('button', { name, exact: true })
  }

  /** The text on the screen. */
  async text(): Promise<string> {
    const { width, height, base64 } = await this.picture.evaluate((element) => {
      const { width, height } = element as HTMLCanvasElement
      const { data } = (element as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, width, height)
      let binary = ''
      for (let at = 0; at < data.length; at += 0x8000) binary += String.fromCharCode(...data.subarray(at, at + 0x8000))
      return { width, height, base64: btoa(binary) }
    })
    const bytes = Uint8Array.from(Buffer.from(base64, 'base64'))
    return this.#reader.read({ width, height, pixels: new Uint32Array(bytes.buffer) }).join('\n')
  }

  async expectText(pattern: RegExp, timeout = 60_000): Promise<void> {
    await expect(async () => {
      expect(await this.text()).toMatch(pattern)
    }).toPass({ timeout, intervals: [250] })
  }

  async type(text: string): Promise<void> {
    await this.picture.focus()
    // With Shift as a hand presses it: the guest is told of keys, not of characters.
    for (const { code, shift } of typingOf(text, 'us').strokes)
      await this.#page.keyboard.press(shift ? `Shift+${code}` : code, { delay: 20 })
  }

  async press(key: string): Promise<void> {
    await this.picture.focus()
    await this.#page.keyboard.press(key, { delay: 30 })
  }

  async sendKeys(...entries: string[]): Promise<void> {
    await this.tool('Press keys in the machine').click()
    for (const entry of entries) await this.#page.getByRole('menuitem', { name: entry, exact: true }).click()
  }
}
