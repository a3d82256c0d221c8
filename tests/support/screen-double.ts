/** A screen that shows what a test paints, and writes down what viewers press. */
import type { Picture, Rect, Screen } from '../../src-main/engines/rfb/screen.ts'

export class ScreenDouble implements Screen {
  /** How often it was looked at, and told that nobody looks. */
  looks = 0
  rests = 0
  readonly input: string[] = []
  absolute = true
  /** Set, looking fails. */
  broken = false
  #picture: Picture
  #changed: Rect[] = []

  constructor(picture: Picture) {
    this.#picture = picture
  }

  get picture(): Picture {
    return this.#picture
  }

  /** Another picture, maybe of another size. */
  show(picture: Picture): void {
    this.#picture = picture
  }

  fill(rect: Rect, colour: number): void {
    for (let y = rect.y; y < rect.y + rect.height; y++)
      this.#picture.pixels.fill(colour, y * this.#picture.width + rect.x, y * this.#picture.width + rect.x + rect.width)
    this.changed(rect)
  }

  /** Pixels were changed here. */
  changed(rect: Rect): void {
    this.#changed.push(rect)
  }

  look(changed: (rect: Rect) => void): Picture {
    this.looks++
    if (this.broken) throw new Error('The screen is broken.')
    for (const rect of this.#changed.splice(0)) changed(rect)
    return this.#picture
  }

  rest(): void {
    this.rests++
  }

  key(code: number, down: boolean): void {
    this.input.push(`key ${code.toString(16)} ${down ? 'down' : 'up'}`)
  }

  pointer(x: number, y: number, buttons: number): void {
    this.input.push(`pointer ${x} ${y} ${buttons}`)
  }

  move(dx: number, dy: number, buttons: number): void {
    this.input.push(`move ${dx} ${dy} ${buttons}`)
  }
}
