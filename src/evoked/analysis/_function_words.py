"""Pronouns, prepositions and what else holds sentences together, which Section IV-F leaves out.

For the languages that captions are most often written in. Left out of the lists are words that mean
something of their own in another of these languages ("die", "son", "come", "pie").
"""

from __future__ import annotations

_ENGLISH = """
a about above across after again against all along already also although always am among an and
another any anybody anyone anything are aren around as at away back be because been before behind
being below beside besides between both but by can cannot could couldn did didn do does doesn doing
don done down during each either else ever every everybody everyone everything few for from further
get gets getting go goes going gonna got gotta had hadn has hasn have haven having he her here hers
herself him himself his how i if im in into is isn it its itself just let lets like ll many may me
might mine more most much must mustn my myself near neither never no nobody none nor not nothing
now of off on once one only onto or other others our ours ourselves out over own per quite rather
re really same shall she should shouldn since so some somebody someone something still such than
that thats the their theirs them themselves then there these they this those though through
throughout till to too toward towards u under until unto up upon ur us ve very via was wasn we were
weren what whatever when whenever where wherever whether which while who whoever whom whose why will
with within without won would wouldn yes yet you your youre yours yourself yourselves
"""
_SPANISH = """
al algo alguien algunas algunos ante antes aquel aquella aquello aquí así aunque cada casi como con
contra cual cuales cuando cuándo de del desde donde dónde dos e el él ella ellas ellos en entre era
eran eres es esa esas ese eso esos está están estamos estar estas este esto estos estoy fue fueron
ha han has hasta hay he la las le les lo los más me mi mí mis mismo mucho muchos muy nada ni no nos
nosotros nuestra nuestras nuestro nuestros o os otra otras otro otros para pero poco por porque pues
que qué quien quién quienes se según ser si sí siempre sido sobre solo sólo somos soy su sus
también tan tanto te tenemos tener tengo ti tiene tienen toda todas todo todos tu tú tus un una unas
uno unos usted ustedes va vamos van vosotros y ya yo
"""
_PORTUGUESE = """
ao aos aquela aquele aquilo as até com das de dela dele depois do dos ela elas ele eles em entre era
essa essas esse esses esta está estão eu foi foram isso isto já lhe lhes mais mas mesmo meu meus
minha minhas muito muitos na não nas nem nessa nesse nesta neste no nos nós nossa nossas nosso
nossos num numa onde ou para pela pelas pelo pelos por porque pra pro quando que quem são sem
sempre ser seu seus sob somos sou sua suas também te tem têm tenho toda todas todo todos tu tua tudo
um uma umas uns vai você vocês vos
"""
_ITALIAN = """
agli ai al alla alle allo anche che chi ci col con cosa così cui da dal dalla dalle dallo degli dei
del della delle dello dentro di dopo dove è ed e fra gli ha hai hanno ho il in io la le lei li lo
loro lui ma mai mi mia mie miei mio molto ne negli nei nel nella nelle nello noi non nostra nostre
nostri nostro o ogni per perché però più poi quando quanto quel quella quelle quelli quello quest
questa queste questi questo qui se sempre senza si sia siamo solo sono sopra sta sua sue sugli sui
sul sulla sulle sullo suo suoi ti tra tu tua tue tuo tuoi tutta tutte tutti tutto un una uno vi voi
vostra vostro
"""
_FRENCH = """
ai alors après as au aussi autre aux avait avant avec avez avons c ça car ce ceci cela celle celui
ces cet cette ceux chaque chez comme dans de depuis des donc du d elle elles en encore entre es
est et était être eu eux fait il ils j je jusque l la le les leur leurs lui ma mais me même mes moi
mon n ne ni nos notre nous on ont ou où par parce pas pendant peu peut plus pourquoi près puis qu
quand que quel quelle quelles quels qui quoi s sa sans se sera ses si soi sommes sont sous suis sur
ta te tes toi ton tous tout toute toutes très trop tu un une va vers voici voilà vos votre vous y
"""
_GERMAN = """
aber alle allem allen aller alles als am an ans auch auf aus bei beim bin bis bist da damit dann das
dass dein deine dem denn der des dich diese diesem diesen dieser dieses dir doch dort du durch ein
eine einem einen einer eines er es etwas euch euer für gegen habe haben hier ich ihm ihn ihnen ihr
ihre im immer ins ist ja jede jeder jetzt kann kein keine mehr mein meine meinem meinen meiner mich
mir mit nach nicht nichts noch nun nur ob oder ohne schon sehr sein seine sich sie sind so über um
und uns unser unsere unter viel vom von vor wann warum weil wenn wer werden wie wieder wir wird wo
zu zum zur zwischen
"""
_RUSSIAN = """
а без более будет будто бы был была были было быть в вам вас ваш вдруг ведь весь во вот все всё
всегда всего всех вы где да даже для до его ее её если есть еще ещё же за здесь и из или им их к
как какая какой когда кто ли лишь меня мне много может мой моя мои мы на над нам нас наш наша наши
не него нее неё ней нет ни них но ну о об он она они оно от очень по под после потом потому почти
при про с сам сам свой свои своей своих себе себя со так такая такие такой там тебя тем теперь то
тобой тогда того тоже только том тот ту ты у уже хотя чего чем через что чтобы эта эти это этого
этой этом этот я
"""
_INDONESIAN = """
ada adalah aja aku akan anda atau bagi bisa buat dalam dan dari dengan dia di gak hanya ini itu jadi
juga jika ke kalau kalian kami kamu karena kita ku lagi lah mereka nya oleh pada saat saja saya
sama sangat sebagai sebuah seperti sudah telah tidak tapi untuk yang ya yg
"""
_TURKISH = """
ama ben bana benim bir biz bizim bu çok da daha de değil diye en gibi hem hep her için ile ise ki
kim mi mı mu ne neden o olan olarak onlar şey sen senin siz şu tüm var ve veya ya yok
"""

FUNCTION_WORDS = frozenset(
    word
    for language in (
        _ENGLISH,
        _SPANISH,
        _PORTUGUESE,
        _ITALIAN,
        _FRENCH,
        _GERMAN,
        _RUSSIAN,
        _INDONESIAN,
        _TURKISH,
    )
    for word in language.split()
)
