/** v86's screen, keyboard and mouse, as the RFB server wants them. Nothing is looked at or kept while nobody watches. */
import type { Picture, Rect, Screen } from '../rfb/screen.ts'
import { KeyboardPort } from './keyboard-port.ts'
import { MousePort } from './mouse-port.ts'
import { GraphicsPainter } from './vga-graphics.ts'
import { TextPainter } from './vga-text.ts'
import type { Emulator, ScreenLayer } from './v86.ts'

/** Sequencer register 1: the screen is off. */
const CLOCKING_SCREEN_OFF = 0x20
const BLANK = { width: 720, height: 400 }

export class EmbeddedScreen implements Screen {
  #emulator: Emulator
  #text: TextPainter | null = null
  #graphics: GraphicsPainter | null = null
  /** The picture was forgotten: v86 does not know that it has to give everything. */
  #stale = true
  #keyboard: KeyboardPort
  #mouse: MousePort
  #runs: () => boolean
  #size = { width: BLANK.width, height: BLANK.height }

  /** @param runs whether the guest runs: while it is paused, nothing can be pressed, only let go */
  constructor(emulator: Emulator, runs: () => boolean) {
    this.#runs = runs
    this.#emulator = emulator
    this.#keyboard = new KeyboardPort((byte) => emulator.bus.send('keyboard-code', byte))
    this.#mouse = new MousePort((event, data) => emulator.bus.send(event, data))
  }

  look(changed: (rect: Rect) => void): Picture {
    const picture = this.#paint(changed)
    this.#size = { width: picture.width, height: picture.height }
    return picture
  }

  rest(): void {
    this.#text = null
    this.#graphics = null
    this.#stale = true
  }

  key(code: number, down: boolean): void {
    if (this.#runs() || !down) this.#keyboard.key(code, down)
  }

  get absolute(): boolean {
    const { vmware } = this.#emulator.v86.cpu.devices
    return vmware.enabled && vmware.absolute
  }

  pointer(x: number, y: number, buttons: number): void {
    if (this.#runs()) this.#mouse.pointer(x, y, buttons, this.#size)
    else this.#mouse.release(buttons)
  }

  move(dx: number, dy: number, buttons: number): void {
    if (this.#runs()) this.#mouse.move(dx, dy, buttons)
    else this.#mouse.release(buttons)
  }

  #paint(changed: (rect: Rect) => void): Picture {
    const { vga } = this.#emulator.v86.cpu.devices
    if (!vga.graphical_mode && !(vga.clocking_mode & CLOCKING_SCREEN_OFF) && vga.max_cols > 0 && vga.max_rows > 0) {
      this.#graphics = null
      this.#stale = true
      return (this.#text ??= new TextPainter()).paint(vga, performance.now(), changed)
    }
    this.#text = null
    const graphics = (this.#graphics ??= new GraphicsPainter())
    if (!vga.graphical_mode || !vga.image_data || !vga.screen_width || !vga.screen_height) {
      this.#graphics = new GraphicsPainter()
      this.#stale = true
      return this.#graphics.resize(BLANK.width, BLANK.height)
    }
    const picture = graphics.resize(vga.screen_width, vga.screen_height)
    if (this.#stale) {
      this.#stale = false
      vga.complete_replot()
      vga.complete_redraw()
    }
    const layers: ScreenLayer[] = []
    this.#emulator.screen_adapter.update_buffer = (updated) => void layers.push(...updated)
    vga.screen_fill_buffer()
    for (const layer of layers) graphics.draw(layer, changed)
    return picture
  }
}
