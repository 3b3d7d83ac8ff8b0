/** The format's grammar, its round trip, and the rules by which two outputs count as equal. */
import { describe, expect, it } from 'vitest'
import { comparable, GrammarError, parse, parseDirective, render } from './data-driven.ts'
import { encodeUtf8, quote } from './utf8.ts'

const file = `# a comment

add-nodes 3 voters=(1, 2,3) \\
  index=10
----
ok

propose-conf-change 1 transition=explicit
v4 v5
----
----
one

two
----
----

# behind
status 1
----
1: x
`

describe('the data-driven format', () => {
  it('reads directives, inputs, outputs and their lines', () => {
    const { stanzas } = parse(file)
    expect(stanzas.map((s) => [s.line, s.command, s.input, s.expected])).toEqual([
      [3, 'add-nodes', '', 'ok\n'],
      [8, 'propose-conf-change', 'v4 v5', 'one\n\ntwo\n'],
      [19, 'status', '', '1: x\n'],
    ])
    expect(stanzas[0]?.args).toEqual([
      { key: '3', values: [] },
      { key: 'voters', values: ['1', '2', '3'] },
      { key: 'index', values: ['10'] },
    ])
  })

  it('prints the same text when every output is the expected one', () => {
    const parsed = parse(file)
    expect(
      render(
        parsed,
        parsed.stanzas.map((s) => s.expected),
      ),
    ).toBe(file)
  })

  it('prints other outputs in their place, doubling the separator around empty lines', () => {
    const parsed = parse('a\n----\nold\n\nb\n----\nold\n')
    expect(render(parsed, ['x\n\ny', 'new'])).toBe('a\n----\n----\nx\n\ny\n----\n----\n\nb\n----\nnew\n')
  })

  it('keeps nested parentheses in one value', () => {
    expect(parseDirective('cmd a=(x, (y, z)) b= c', 1).args).toEqual([
      { key: 'a', values: ['x', '(y, z)'] },
      { key: 'b', values: [''] },
      { key: 'c', values: [] },
    ])
  })

  it('refuses a directive without separator, without a name, and with a parenthesis left open', () => {
    expect(() => parse('a\nb\n')).toThrow(GrammarError)
    expect(() => parseDirective('cmd =x', 4)).toThrow('line 4')
    expect(() => parseDirective('cmd a=(x', 5)).toThrow('line 5')
    expect(() => parseDirective('cmd a=x)', 6)).toThrow('line 6')
  })

  it('leaves log lines out at any depth and takes an empty output for ok', () => {
    expect(comparable('INFO a\n> 1\n  DEBUG b\n  x\n')).toBe('> 1\n  x')
    expect(comparable('WARN a\n')).toBe('ok')
    expect(comparable('')).toBe('ok')
    expect(comparable('INFORMAL\n')).toBe('INFORMAL')
  })
})

describe('payload text', () => {
  it('encodes as the platform does', () => {
    for (const text of ['', 'prop_1', 'ä€𝄞', '\ud800']) {
      expect([...encodeUtf8(text)]).toEqual([...new TextEncoder().encode(text)])
    }
  })

  it('quotes with escapes for what is not printable or no UTF-8', () => {
    expect(quote(encodeUtf8('a"b\\c\n\x01ä€𝄞'))).toBe('"a\\"b\\\\c\\n\\x01ä€𝄞"')
    expect(quote(Uint8Array.of(0xff, 0x61, 0xc0, 0x80, 0xed, 0xa0, 0x80))).toBe(
      '"\\xffa\\xc0\\x80\\xed\\xa0\\x80"',
    )
    expect(quote(Uint8Array.of(0xe2, 0x82))).toBe('"\\xe2\\x82"')
    expect(quote(encodeUtf8('\u200b'))).toBe('"\\u200b"')
  })
})
