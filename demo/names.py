"""Words from which the made-up customers, people, streets and towns are put together."""

from __future__ import annotations

FIRST = (
    "Agnès", "Alain", "Amélie", "André", "Aurélie", "Benoît", "Brigitte", "Camille", "Catherine", "Céline", "Chloé",
    "Christophe", "Claire", "Damien", "Delphine", "Denis", "Élodie", "Émilie", "Éric", "Fabrice", "Florence",
    "Françoise", "Frédéric", "Gaël", "Gérard", "Hélène", "Hugo", "Inès", "Isabelle", "Jérôme", "Joëlle", "Julien",
    "Karim", "Laëtitia", "Laurent", "Léa", "Loïc", "Lucie", "Maël", "Marion", "Mathieu", "Maxime", "Mélanie",
    "Nadia", "Nathalie", "Nicolas", "Noémie", "Olivier", "Pascal", "Patricia", "Rachid", "René", "Romain",
    "Sandrine", "Sébastien", "Solène", "Stéphane", "Sylvie", "Thibault", "Thomas", "Valérie", "Véronique", "Yann",
    "Zoé",
)
LAST = (
    "Aubert", "Barbier", "Bellanger", "Benoît", "Bernard", "Besson", "Blanchard", "Boucher", "Bouvier", "Brunel",
    "Carpentier", "Cœurdacier", "Chauvin", "Chevalier", "Colin", "Cousin", "Delattre", "Denys", "Descamps",
    "Diallo", "Dufour", "Dupré", "Étienne", "Fabre", "Faure", "Ferrand", "Fournier", "Gaillard", "Garnier",
    "Gérard", "Giraud", "Grégoire", "Guérin", "Guillou", "Haddad", "Hamon", "Hébert", "Huguet", "Jacquet", "Joly",
    "Kerbrat", "Lacroix", "Lambert", "Lefèvre", "Legrand", "Lemaître", "Leroux", "Levêque", "Maçon", "Maillard",
    "Marchand", "Martel", "Mercier", "Meunier", "Morvan", "Nguyen", "Noël", "Ollivier", "Parmentier", "Pelletier",
    "Perrin", "Pichon", "Poirier", "Prévost", "Quéré", "Renaud", "Rivière", "Rousselot", "Royer", "Salaün",
    "Schneider", "Tanguy", "Tessier", "Texier", "Thévenet", "Vasseur", "Vidal",
)
TRADES = (
    "Boulangerie", "Boucherie", "Garage", "Imprimerie", "Menuiserie", "Cabinet", "Pharmacie", "Clinique", "Hôtel",
    "Résidence",
    "Transports", "Laiterie", "Fromagerie", "Cave coopérative", "Atelier", "Blanchisserie", "Crèche", "Lycée",
    "Gymnase",
    "Maison de retraite", "Scierie", "Serres", "Conserverie", "Librairie", "Traiteur", "Entrepôts", "Laboratoire",
    "Abattoir",
)
SIGNS = (
    "du Centre", "de la Gare", "du Vieux Port", "des Halles", "de l'Étang", "du Lac", "des Tilleuls", "Saint-Joseph",
    "du Château",
    "des Trois Chênes", "de l'Église", "du Pont Neuf", "Sainte-Anne", "de la Forêt", "du Marché", "des Acacias",
    "de l'Hôtel de Ville",
    "du Moulin", "des Quatre Vents", "de la Fontaine",
)
FORMS = ("", "", "SARL ", "SAS ", "Ets ", "EURL ")
STREETS = (
    "rue de la République", "avenue Jean Jaurès", "place de l'Église", "rue Victor Hugo", "boulevard Gambetta",
    "chemin des Vignes",
    "rue du Général Leclerc", "impasse des Lilas", "quai de la Loire", "rue Pasteur", "zone artisanale des Prés",
    "route de Bretagne",
    "allée des Érables", "rue du Faubourg", "cours de la Liberté",
)
TOWNS = (
    ("01000", "Bourg-en-Bresse"), ("06000", "Nice"), ("07000", "Privas"), ("13001", "Marseille"), ("14000", "Caen"),
    ("21000", "Dijon"), ("25000", "Besançon"), ("29200", "Brest"), ("31000", "Toulouse"), ("33000", "Bordeaux"),
    ("34000", "Montpellier"), ("35000", "Rennes"), ("37000", "Tours"), ("38000", "Grenoble"), ("42000",
        "Saint-Étienne"),
    ("44000", "Nantes"), ("45000", "Orléans"), ("49000", "Angers"), ("51100", "Reims"), ("54000", "Nancy"),
    ("56100", "Lorient"), ("57000", "Metz"), ("59000", "Lille"), ("63000", "Clermont-Ferrand"), ("64000", "Pau"),
    ("67000", "Strasbourg"), ("69003", "Lyon"), ("72000", "Le Mans"), ("74000", "Annecy"), ("75011", "Paris"),
    ("76000", "Rouen"), ("80000", "Amiens"), ("83000", "Toulon"), ("84000", "Avignon"), ("86000", "Poitiers"),
    ("87000", "Limoges"), ("90000", "Belfort"), ("97200", "Fort-de-France"),
)
FUNCTIONS = ("Gérant", "Comptable", "Responsable technique", "Directrice", "Assistante", "Intendant", "Acheteuse",
    "Chef d'atelier")
JOBS = ("Technicien CVC", "Frigoriste", "Électricien", "Planificatrice", "Commercial", "Comptable", "Chef d'équipe",
    "Magasinier")
MACHINES = (
    ("chaudière", "Chaudière gaz condensation"), ("climatisation", "Groupe froid à vis"), ("ventilation",
        "Centrale de traitement d'air"),
    ("ascenseur", "Ascenseur 630 kg"), ("porte", "Porte sectionnelle"), ("incendie", "Centrale de détection incendie"),
    ("froid", "Chambre froide négative"), ("pompe", "Pompe à chaleur air/eau"),
)
PARTS = (
    "Filtre à poches F7", "Courroie trapézoïdale", "Sonde de température", "Vanne trois voies", "Brûleur",
    "Pressostat", "Joint de porte",
    "Contacteur 25 A", "Circulateur", "Fluide R-32", "Carte électronique", "Câble de traction", "Batterie 12 V",
    "Détecteur optique",
)
