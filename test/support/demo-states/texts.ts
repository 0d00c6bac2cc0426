/** An answer with every kind of block. */
export const ANSWER = `# The sea

The sea is **deep**, and the *machine* hums in the harbour. It has \`waves\` and a [link](https://example.com/).

1. First
   - inner one
   - inner two
2. Second

> A quotation, which says
> something over two lines.

\`\`\`python
def reverse(text: str) -> str:
    """Turns a text around, and has a line that is so long that it has to be scrolled to be read in full."""
    return text[::-1]
\`\`\`

| Sea | Depth |
|---|---|
| North | 700 m |
| South | 7,432 m |

- [x] done
- [ ] not done

---

## The end

That is all.
`;

/** Some 25,000 characters. */
export const LONG_ANSWER = Array.from({ length: 40 }, (_, i) => ANSWER.replace('# The sea', `# Part ${i + 1}`)).join('\n');

export const RTL_ANSWER = `# البحر

البحر **عميق** جدا، والآلة تهمس في الميناء. انظر إلى \`const sea = 1;\` أولا.

1. الأول
2. الثاني

> اقتباس من كتاب قديم.

\`\`\`js
const sea = 'بحر'; // left to right
\`\`\`

And a paragraph in English between them.

| بحر | عمق |
|---|---|
| شمال | 700 |

הים עמוק.
`;
