"""What is looked for, and where: pure decisions of a search.

folding      text without regard to case and accents, cut into words
settings     what people write of settings and time: "iso 100", "50mm", "October 2018"
lookup       the words of a picture, as they are stored beside its payload
fields       the fields of the language, and what their values may be
language     a text of the search box, read
query        what was read
reasons      why a picture was found
fusion       several lists of hits as one
standing_out  how many hits are clearly better than the rest
likeness     vectors of pictures that are to be alike, and probabilities
"""
